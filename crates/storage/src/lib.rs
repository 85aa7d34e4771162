//! State: SQLite by default, PostgreSQL by a URL, behind the same
//! repositories, and the vault that seals what must not be readable in it.
//!
//! - [`Store::open`] connects, migrates and checks the key; [`Store::open_in`]
//!   does it in a data directory.
//! - [`Store::keys`], [`Store::users`], [`Store::audit`] and [`Store::changes`] are the
//!   repositories. SQL is written once; `database.rs` holds the differences.
//! - [`Journal`] makes rows of the audit trail durable without the database;
//!   they follow into it, and [`recover`] brings in what a killed process left.
//! - [`Store::vault`] seals and opens; a caller that does so often keeps a [`Sealer`].
//!
//! A repository's method is one unit of work: it takes effect whole or not
//! at all. "Not found" is not an error. Times are microseconds.

mod absences;
mod audit;
pub mod authorization;
mod browser_sessions;
mod changes;
mod connections;
mod database;
mod error;
#[cfg(any(test, feature = "faults"))]
mod faults;
#[cfg(not(any(test, feature = "faults")))]
#[path = "no_faults.rs"]
mod faults;
mod journal;
mod kept_identities;
mod key_file;
mod keys;
mod migration;
mod sign_in_links;
mod store;
mod teams;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod upstream_clients;
mod upstream_flows;
mod users;
mod vault;

#[cfg(test)]
mod conformance;

pub use absences::{Absence, Absences, Kind as AbsenceKind};
pub use audit::{Audit, AuditRow};
pub use browser_sessions::{BrowserSessions, IssuerSession, NewSession};
pub use changes::{Changes, Topic};
pub use connections::{Connections, Saved};
pub use error::{OpenError, StoreError};
#[cfg(any(test, feature = "faults"))]
pub use faults::{Faults, Seen};
pub use journal::{Journal, JournalBatch, JournalReader, Place, Recovered, recover};
pub use kept_identities::{KeptIdentities, KeptIdentity};
pub use keys::Keys;
pub use sign_in_links::{LinkFor, SignInLinks};
pub use store::{Location, Store, StoreOptions, VaultKey};
pub use teams::Teams;
pub use upstream_clients::UpstreamClients;
pub use upstream_flows::UpstreamFlows;
pub use users::{Changed, DirectoryGroup, Identity, IdentityOwner, UserChange, Users};
pub use vault::{KeyFault, Sealed, Sealer, Vault, VaultError};
