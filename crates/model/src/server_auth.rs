//! The credential that the hub shows to a server behind a URL.

use std::path::PathBuf;

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
    /// The hub exchanges a token for one of the server (RFC 8693).
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
        match self {
            Self::None | Self::Bearer(_) => false,
            Self::OAuth(oauth) => oauth.per == ConsentOf::User,
            Self::Exchange(_) | Self::IdJag(_) => self.shows_caller_of().is_some(),
        }
    }

    /// The sign-in provider whose ID token of the caller is exchanged; none
    /// where tokens come from elsewhere.
    pub fn shows_caller_of(&self) -> Option<&str> {
        match self.exchange().map(|exchange| &exchange.subject) {
            Some(Subject::Caller { provider }) => Some(provider),
            Some(Subject::Given { .. }) | None => None,
        }
    }

    /// The exchange that tokens begin with.
    pub fn exchange(&self) -> Option<&ExchangeAuth> {
        match self {
            Self::Exchange(exchange) => Some(exchange),
            Self::IdJag(jag) => Some(&jag.idp),
            Self::None | Self::Bearer(_) | Self::OAuth(_) => None,
        }
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
    /// An assertion signed with the client's private key (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// A public client: the id alone.
    None,
}

impl ClientAuthMethod {
    /// The name in metadata (RFC 7591 section 2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    /// The method with this name; none when the hub does not speak it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt, Self::None]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// The private key of a client.
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// In PEM.
    pub pem: Secret,
    /// What the authorization server calls it (RFC 7515 section 4.1.4).
    pub id: Option<String>,
}

/// A client that somebody has registered by hand.
#[derive(Debug, Clone)]
pub struct GivenClient {
    pub id: String,
    pub secret: Option<Secret>,
    /// In place of a secret.
    pub key: Option<ClientKey>,
    /// What the authorization server is told; found out when there is none.
    pub method: Option<ClientAuthMethod>,
}

impl GivenClient {
    /// Whether both are the same client with the same secret.
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |left: Option<&Secret>, right: Option<&Secret>| match (left, right) {
            (Some(left), Some(right)) => left.same_as(right),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let pem = |client: &Self| client.key.as_ref().map(|key| key.pem.clone());
        let key_id = |client: &Self| client.key.as_ref().and_then(|key| key.id.clone());
        self.id == other.id
            && self.method == other.method
            && same(self.secret.as_ref(), other.secret.as_ref())
            && same(pem(self).as_ref(), pem(other).as_ref())
            && key_id(self) == key_id(other)
    }
}

/// What proves the workload that the hub is, such as the token of a Kubernetes service account.
#[derive(Debug, Clone)]
pub enum WorkloadToken {
    Given(Secret),
    /// Read anew each time: whoever wrote it replaces it before its end.
    File(PathBuf),
}

impl WorkloadToken {
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Given(token), Self::Given(other)) => token.same_as(other),
            (Self::File(path), Self::File(other)) => path == other,
            (Self::Given(_), Self::File(_)) | (Self::File(_), Self::Given(_)) => false,
        }
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
    /// With [`ConsentOf::Service`]: what is given for tokens in place of the client's credential (RFC 7523
    /// section 2.1).
    pub workload: Option<WorkloadToken>,
}

impl OAuthAuth {
    pub fn same_as(&self, other: &Self) -> bool {
        let Self { per, scopes, client, registration, workload } = self;
        let workloads = match (workload, &other.workload) {
            (Some(left), Some(right)) => left.same_as(right),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let clients = match (client, &other.client) {
            (Some(left), Some(right)) => left.same_as(right),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        *per == other.per
            && *scopes == other.scopes
            && *registration == other.registration
            && clients
            && workloads
    }
}

/// Where tokens are exchanged, and as which client.
#[derive(Debug, Clone)]
pub enum ExchangeAt {
    Endpoint {
        token_endpoint: String,
        client: GivenClient,
    },
    /// At a sign-in provider of this name, as the client that the hub is there.
    Provider(String),
}

impl ExchangeAt {
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Endpoint { token_endpoint, client },
                Self::Endpoint { token_endpoint: other_endpoint, client: other_client },
            ) => token_endpoint == other_endpoint && client.same_as(other_client),
            (Self::Provider(name), Self::Provider(other)) => name == other,
            (Self::Endpoint { .. }, Self::Provider(_)) | (Self::Provider(_), Self::Endpoint { .. }) => false,
        }
    }
}

/// Whose token is exchanged.
#[derive(Debug, Clone)]
pub enum Subject {
    /// One for every caller, and its type as a URN.
    Given { token: Secret, kind: String },
    /// The caller's own ID token, from the sign-in provider of this name.
    Caller { provider: String },
}

impl Subject {
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Given { token, kind }, Self::Given { token: other_token, kind: other_kind }) => {
                token.same_as(other_token) && kind == other_kind
            }
            (Self::Caller { provider }, Self::Caller { provider: other }) => provider == other,
            (Self::Given { .. }, Self::Caller { .. }) | (Self::Caller { .. }, Self::Given { .. }) => false,
        }
    }
}

/// A token exchange (RFC 8693).
#[derive(Debug, Clone)]
pub struct ExchangeAuth {
    pub at: ExchangeAt,
    pub subject: Subject,
    pub audience: Option<String>,
    pub scopes: Vec<String>,
}

impl ExchangeAuth {
    pub fn same_as(&self, other: &Self) -> bool {
        let Self { at, subject, audience, scopes } = self;
        at.same_as(&other.at)
            && subject.same_as(&other.subject)
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
