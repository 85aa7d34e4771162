//! What the hub holds of the authorization servers of upstream servers: the
//! clients that it is there, and the grants that people gave it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ClientAuthMethod, Identity, ServerName, Timestamp, UserId};

/// Whose grant a connection stands on: a person's id, or one of the hub's two.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionOwner(Arc<str>);

impl ConnectionOwner {
    const SHARED: &str = "shared";
    const SERVICE: &str = "service";

    /// One grant for everybody.
    pub fn shared() -> Self {
        Self(Self::SHARED.into())
    }

    /// The hub itself.
    pub fn service() -> Self {
        Self(Self::SERVICE.into())
    }

    /// The identity that a server sees: that of a person is the person's id.
    pub fn of(identity: &Identity) -> Self {
        Self(identity.as_str().into())
    }

    /// An owner as it is written in lists. A person's id is never one of the hub's two words.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user whose grant it is; none for the hub's own, and for callers who are no users.
    pub fn user(&self) -> Option<UserId> {
        self.0.starts_with("usr_").then(|| self.0.parse().ok()).flatten()
    }

    /// Whether it is nobody in particular.
    pub fn is_of_hub(&self) -> bool {
        matches!(&*self.0, Self::SHARED | Self::SERVICE)
    }
}

impl fmt::Display for ConnectionOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a connection is, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// There are tokens, and the last use of them went well.
    Connected,
    /// The grant has ended, or does not reach far enough: somebody has to consent again.
    NeedsConsent,
    /// The server or its authorization server refuses what is still held; a retry may help.
    Refused,
    /// Somebody here ended it.
    Revoked,
    /// The authorization server does not answer; the grant is kept.
    Unreachable,
}

impl ConnectionState {
    pub const ALL: [Self; 5] =
        [Self::Connected, Self::NeedsConsent, Self::Refused, Self::Revoked, Self::Unreachable];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::NeedsConsent => "needs_consent",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Unreachable => "unreachable",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One connection: a server, whose grant it is, and how it fares. The tokens
/// are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub server: ServerName,
    pub owner: ConnectionOwner,
    /// Grows with each change; starts at the time of its making, so that a
    /// later connection of the same two never looks like this one.
    pub version: i64,
    pub state: ConnectionState,
    /// None once the grant has ended.
    pub sealed: Option<String>,
    pub detail: ConnectionDetail,
    /// Who refreshes, until when nobody else may.
    pub lease: Option<(String, Timestamp)>,
}

/// What is known of a connection besides; never searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionDetail {
    pub issuer: String,
    /// The token endpoint, so that a refresh needs no discovery.
    pub token_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    pub client_id: String,
    /// What the tokens are for (RFC 8707).
    pub resource: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// What a server has asked for beyond; the next consent is for both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// Why it is in its state, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the access token should be refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_at: Option<Timestamp>,
    /// A refresh has been sent and its answer is not stored: after a crash the answer may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshing_since: Option<Timestamp>,
    /// Refreshes that failed in a row, and when the next may be tried.
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<Timestamp>,
}

/// How the hub became a client of an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisteredBy {
    /// The configuration names it.
    #[default]
    Given,
    /// A client id metadata document.
    Cimd,
    /// Dynamic registration (RFC 7591).
    Dcr,
}

/// The client that the hub is at the authorization server of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamClient {
    pub server: ServerName,
    pub issuer: String,
    pub client_id: String,
    /// The secret and what manages the registration, sealed.
    pub sealed: Option<String>,
    pub detail: UpstreamClientDetail,
}

/// What is known of a client besides; never searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpstreamClientDetail {
    pub registered_by: RegisteredBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<ClientAuthMethod>,
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<String>,
    pub has_secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_expires_at: Option<Timestamp>,
    /// Where the registration is managed (RFC 7592).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// While set, nothing is asked with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// The authorization server no longer knows it: the next consent registers anew.
    pub is_unknown: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<Timestamp>,
}
