//! The hub as an OAuth client of upstream servers: finding their authorization
//! servers, registering there, consents of people, and tokens that last.
//!
//! [`Connections`] is the whole of it. A request to a server takes its
//! `Authorization` from a [`Credential`], from memory; everything that asks an
//! authorization server goes through a [`Transport`], which is the guard for
//! URLs that others name.

mod assertion;
mod challenge;
mod connections;
mod discovery;
mod ending;
mod exchange;
mod flow;
mod held;
pub(crate) mod identity;
mod metadata;
mod obtain;
mod outbound;
mod presence;
mod reconcile;
mod refresh;
mod registration;
mod routes;
mod sealed;
mod steer;
pub(crate) mod token;
mod transport;
mod trouble;

#[cfg(test)]
mod tests;

pub use assertion::{KeyFault, check_key};
pub use challenge::Challenge;
pub use connections::{Connections, Parts};
pub use discovery::DiscoveryError;
pub use flow::{Beginning, FlowError, Returned};
pub use held::{Credential, Unusable};
pub use identity::{Answering, IdToken, Identities, NoIdentity, Provider};
pub use metadata::Lie;
pub use presence::Presence;
pub use registration::RegistrationError;
pub use routes::{Pages, routes};
pub use steer::{ShownClient, ShownConnection, SteerError};
pub use token::TokenError;
pub use transport::{Sending, Transport, TransportError};
