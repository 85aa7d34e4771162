//! The nouns of Trunkline, in the words of the product: what a server, a
//! profile, a caller, a decision and an audit event are.
//!
//! No async, no HTTP, no SQL: every other crate may depend on this one, and
//! it depends on none of them.

mod audit;
mod authorization;
mod caller;
mod clock;
mod connection;
mod decision;
mod id;
mod key;
mod name;
mod people;
mod profile;
mod secret;
mod server;
mod server_auth;

pub use audit::{AuditEvent, Outcome, Sizes};
pub use authorization::{ClientKind, Grant, GrantFlow, OauthClient, TokenTarget};
pub use caller::{Caller, Identity, Principal};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use connection::{
    Connection, ConnectionDetail, ConnectionOwner, ConnectionState, RegisteredBy, UpstreamClient,
    UpstreamClientDetail,
};
pub use decision::{Action, Decision, Effect, Reason};
pub use id::{GrantId, KeyId, SessionId, TeamId, UserId};
pub use key::{ApiKey, KeyOwner, PreviousSecret, TokenHash};
pub use name::{NameError, ProfileName, ServerName, fold};
pub use people::{BrowserSession, Members, Role, Team, User, UserKind};
pub use profile::{ProfileAuth, ProfileScope, ProfileSpec, Selection, ToolFilter, ToolOverride};
pub use secret::Secret;
pub use server::{Command, Endpoint, EraPin, HttpEndpoint, HttpTransport, Instances, ServerSpec};
pub use server_auth::{
    ClientAuthMethod, ClientKey, ConsentOf, ExchangeAt, ExchangeAuth, GivenClient, IdJagAuth, OAuthAuth,
    RegistrationBy, ServerAuth, Subject, WorkloadToken,
};
