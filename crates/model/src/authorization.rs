//! What our authorization server keeps: clients, and what users granted them.

use std::fmt;

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

/// What tokens open: one of the hub's protected resources (RFC 8707).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TokenTarget {
    /// The endpoint of a profile.
    Profile(ProfileName),
    /// The admin API, as far as the user's role goes.
    AdminApi,
}

/// No profile has a slash in its name.
const ADMIN_API: &str = "api/v1";

impl TokenTarget {
    /// The path of the resource under the hub's URL.
    pub fn path(&self) -> String {
        match self {
            Self::Profile(name) => format!("/mcp/{name}"),
            Self::AdminApi => format!("/{ADMIN_API}"),
        }
    }

    /// The resource at this path under the hub's URL.
    pub fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/mcp/") {
            Some(name) => ProfileName::new(name).ok().map(Self::Profile),
            None => (path.strip_prefix('/') == Some(ADMIN_API)).then_some(Self::AdminApi),
        }
    }

    /// As it is stored: the name of the profile, or what no profile is called.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Profile(name) => name.as_str(),
            Self::AdminApi => ADMIN_API,
        }
    }

    /// What [`as_str`](Self::as_str) gave.
    pub fn stored(text: &str) -> Option<Self> {
        if text == ADMIN_API { Some(Self::AdminApi) } else { ProfileName::new(text).ok().map(Self::Profile) }
    }

    pub fn is_profile(&self, name: &ProfileName) -> bool {
        matches!(self, Self::Profile(own) if own == name)
    }
}

impl fmt::Display for TokenTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(name) => name.fmt(formatter),
            Self::AdminApi => formatter.write_str("the admin API"),
        }
    }
}

impl From<TokenTarget> for String {
    fn from(target: TokenTarget) -> Self {
        target.as_str().to_owned()
    }
}

impl TryFrom<String> for TokenTarget {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::stored(&text).ok_or("it is no resource of the hub")
    }
}

/// What one user allowed one client at one resource. Every token of it names
/// it; revoking it ends them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserId,
    pub client: String,
    pub target: TokenTarget,
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
    fn no_profile_is_the_admin_api() {
        let profile = TokenTarget::at("/mcp/admin").expect("a profile");
        for target in [profile, TokenTarget::AdminApi] {
            assert_eq!(TokenTarget::at(&target.path()), Some(target.clone()));
            assert_eq!(TokenTarget::stored(target.as_str()), Some(target));
        }
        for foreign in ["/mcp/api/v1", "/mcp/", "/api/v1/", "/api/v1/users", "api/v1", "", "/mcp/a/b"] {
            assert_eq!(TokenTarget::at(foreign), None, "{foreign}");
        }
        assert!(ProfileName::new("api/v1").is_err());
    }

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
