//! The credential that the hub shows to a server behind a URL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// The credential of a server behind a URL.
#[derive(Debug, Clone, Default)]
pub enum ServerAuth {
    #[default]
    None,
    /// `Authorization: Bearer …`, the same for every caller.
    Bearer(Secret),
    /// The hub is an OAuth client of the server.
    OAuth(Box<OAuthAuth>),
    /// The hub exchanges a token that it has been given for one of the server (RFC 8693).
    Exchange(Box<ExchangeAuth>),
    /// The hub exchanges an identity at the organisation's identity provider for an assertion, and the
    /// assertion for a token at the server's authorization server (enterprise-managed authorization).
    IdJag(Box<IdJagAuth>),
}

impl ServerAuth {
    /// Whether the hub asks an authorization server for tokens.
    pub fn is_from_authorization_server(&self) -> bool {
        match self {
            Self::None | Self::Bearer(_) => false,
            Self::OAuth(_) | Self::Exchange(_) | Self::IdJag(_) => true,
        }
    }

    /// Whether each person shows the server a token of their own.
    pub fn is_per_user(&self) -> bool {
        matches!(self, Self::OAuth(oauth) if oauth.per == ConsentOf::User)
    }
}

/// Whose consent a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsentOf {
    /// Each caller's own.
    #[default]
    User,
    /// One person's, for everybody: an operator connects it.
    Shared,
    /// The hub's own, by client credentials (RFC 6749 section 4.4).
    Service,
}

/// How the hub becomes a client of an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationBy {
    /// The given client, else a client id metadata document, else dynamic registration.
    #[default]
    Auto,
    /// The client that the configuration names.
    Given,
    /// A client id metadata document.
    Cimd,
    /// Dynamic registration (RFC 7591).
    Dcr,
}

/// How a client proves itself at the token endpoint (RFC 6749 section 2.3, RFC 7523).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// The secret in an `Authorization: Basic` header.
    ClientSecretBasic,
    /// The secret in the form.
    ClientSecretPost,
    /// A public client: the id alone.
    None,
}

impl ClientAuthMethod {
    /// The name in metadata (RFC 7591 section 2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }

    /// The method with this name; none when the hub does not speak it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// A client that somebody has registered by hand.
#[derive(Debug, Clone)]
pub struct GivenClient {
    pub id: String,
    pub secret: Option<Secret>,
    /// What the authorization server is told; found out when there is none.
    pub method: Option<ClientAuthMethod>,
}

impl GivenClient {
    /// Whether both are the same client with the same secret.
    pub fn same_as(&self, other: &Self) -> bool {
        let secrets = match (&self.secret, &other.secret) {
            (Some(left), Some(right)) => left.same_as(right),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.id == other.id && self.method == other.method && secrets
    }
}

/// How the hub gets tokens as a client of the server's authorization server.
#[derive(Debug, Clone, Default)]
pub struct OAuthAuth {
    pub per: ConsentOf,
    /// In place of what the server asks for; empty: what it asks for.
    pub scopes: Vec<String>,
    pub client: Option<GivenClient>,
    pub registration: RegistrationBy,
}

impl OAuthAuth {
    pub fn same_as(&self, other: &Self) -> bool {
        let Self { per, scopes, client, registration } = self;
        let clients = match (client, &other.client) {
            (Some(left), Some(right)) => left.same_as(right),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        *per == other.per && *scopes == other.scopes && *registration == other.registration && clients
    }
}

/// A token exchange at a named endpoint (RFC 8693).
#[derive(Debug, Clone)]
pub struct ExchangeAuth {
    pub token_endpoint: String,
    pub client: GivenClient,
    /// The token that is exchanged, and its type as a URN or a short name.
    pub subject_token: Secret,
    pub subject_token_type: String,
    pub audience: Option<String>,
    pub scopes: Vec<String>,
}

impl ExchangeAuth {
    pub fn same_as(&self, other: &Self) -> bool {
        let Self { token_endpoint, client, subject_token, subject_token_type, audience, scopes } = self;
        *token_endpoint == other.token_endpoint
            && client.same_as(&other.client)
            && subject_token.same_as(&other.subject_token)
            && *subject_token_type == other.subject_token_type
            && *audience == other.audience
            && *scopes == other.scopes
    }
}

/// Enterprise-managed authorization: the identity provider's half, and the
/// client at the server's authorization server.
#[derive(Debug, Clone)]
pub struct IdJagAuth {
    /// At the identity provider; the audience is the server's authorization server.
    pub idp: ExchangeAuth,
    /// At the server's authorization server.
    pub client: GivenClient,
}

impl IdJagAuth {
    pub fn same_as(&self, other: &Self) -> bool {
        self.idp.same_as(&other.idp) && self.client.same_as(&other.client)
    }
}
