//! What our authorization server keeps: clients, and what users granted them.

use serde::{Deserialize, Serialize};

use crate::{GrantId, PreviousSecret, ProfileName, Timestamp, TokenHash, UserId};

/// How a client came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// An operator made it.
    Registered,
    /// It registered itself (RFC 7591): everything it says of itself is unverified.
    Dynamic,
    /// Its id is the URL of a document that describes it.
    Document,
}

impl ClientKind {
    pub const ALL: [Self; 3] = [Self::Registered, Self::Dynamic, Self::Document];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Dynamic => "dynamic",
            Self::Document => "document",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An OAuth client, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// The `client_id`.
    pub id: String,
    pub kind: ClientKind,
    /// What it calls itself, or what the operator calls it.
    pub name: String,
    /// JSON with the members of RFC 7591 section 2.
    pub metadata: String,
    /// None for a public client.
    pub secret_hash: Option<TokenHash>,
    /// The secret before the newest one.
    pub previous_secret: Option<PreviousSecret>,
    /// When the newest one was made; none when that was with the client.
    pub secret_at: Option<Timestamp>,
    /// Of the token that reads and changes the registration (RFC 7592).
    pub registration_hash: Option<TokenHash>,
    /// The service account that the client acts as with its own credentials.
    pub service_user: Option<UserId>,
    /// The address that registered it, or `operator`.
    pub registered_from: String,
    pub created_at: Timestamp,
    /// When it last got a token.
    pub used_at: Option<Timestamp>,
    /// From then on it gets nothing.
    pub blocked_at: Option<Timestamp>,
}

/// How a grant was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantFlow {
    /// In the user's browser (RFC 6749 section 4.1).
    AuthorizationCode,
    /// On another device (RFC 8628).
    Device,
    /// By a service account's own credentials (RFC 6749 section 4.4).
    ClientCredentials,
    /// By a token of another profile (RFC 8693).
    TokenExchange,
    /// By an assertion of a trusted identity provider (RFC 7523).
    Assertion,
}

impl GrantFlow {
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::Device,
        Self::ClientCredentials,
        Self::TokenExchange,
        Self::Assertion,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Device => "device",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
            Self::Assertion => "assertion",
        }
    }

    /// The flow with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flow| flow.as_str() == name)
    }
}

/// What one user allowed one client in one profile. Every token of it names
/// it; revoking it ends them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserId,
    pub client: String,
    pub profile: ProfileName,
    /// Scopes, with a space between.
    pub scope: String,
    pub flow: GrantFlow,
    pub created_at: Timestamp,
    /// When a token was last issued.
    pub used_at: Timestamp,
    /// After this there is no token any more, whatever is presented.
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// Why, in a few words.
    pub revoked_because: Option<String>,
}

impl Grant {
    /// Whether tokens of the grant open anything at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_flows_are_found_by_their_names() {
        for kind in ClientKind::ALL {
            assert_eq!(ClientKind::named(kind.as_str()), Some(kind));
        }
        for flow in GrantFlow::ALL {
            assert_eq!(GrantFlow::named(flow.as_str()), Some(flow));
        }
        assert_eq!(ClientKind::named("x"), None);
        assert_eq!(GrantFlow::named("x"), None);
    }
}
