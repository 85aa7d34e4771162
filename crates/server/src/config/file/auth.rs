//! How the hub proves itself to a server behind a URL.

use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_model::{ClientAuthMethod, ConsentOf, RegistrationBy};

use super::SecretText;

/// The credential for a server behind a URL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::config) enum ServerAuth {
    /// No credential.
    None,
    /// `Authorization: Bearer …`, the same for every caller.
    Bearer(SecretText),
    /// A header with a secret, the same for every caller.
    Header(HeaderAuth),
    /// The hub is an OAuth client of the server.
    Oauth(Box<OauthAuth>),
    /// A token is exchanged for one of the server (RFC 8693).
    Exchange(Box<ExchangeAuth>),
    /// An identity is exchanged for an assertion at the identity provider, and that for a token at the server's authorization server (enterprise-managed authorization).
    IdJag(Box<IdJagAuth>),
}

/// A header with a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderAuth {
    /// The header's name, such as `X-Api-Key`.
    pub(in crate::config) name: String,
    /// The header's value.
    pub(in crate::config) value: SecretText,
}

/// How the hub gets access tokens for the server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OauthAuth {
    /// Whose consent a token stands for. Default: `user`.
    pub(in crate::config) per: Option<ConsentOf>,
    /// The scopes to ask for, in place of what the server asks for.
    pub(in crate::config) scopes: Vec<String>,
    /// The id of a client that was registered by hand.
    pub(in crate::config) client_id: Option<String>,
    /// The secret of that client.
    pub(in crate::config) client_secret: Option<SecretText>,
    /// The private key of that client in PEM (P-256, RSA or Ed25519), in place of a secret.
    pub(in crate::config) client_key: Option<SecretText>,
    /// What the authorization server calls that key (`kid`).
    pub(in crate::config) client_key_id: Option<String>,
    /// How that client proves itself. Default: `private_key_jwt` with a key; else as the authorization server says.
    pub(in crate::config) client_auth: Option<ClientAuthMethod>,
    /// With `per: service`: what proves the workload that the hub is, such as `file:` and the token of a Kubernetes service account.
    /// It is given for tokens of the server (RFC 7523); a file is read anew each time.
    pub(in crate::config) workload_token: Option<SecretText>,
    /// How the hub becomes a client. Default: `auto`.
    pub(in crate::config) registration: Option<RegistrationBy>,
}

/// A token exchange (RFC 8693).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ExchangeAuth {
    /// An identity provider of `sign_in.issuers`: the caller's own ID token of it is exchanged, unless there is a
    /// `subject_token`, and exchanged there, unless there is a `token_endpoint`. Default: the only one there is.
    pub(in crate::config) provider: Option<String>,
    /// Where tokens are exchanged. Default: at the provider, as the client that the hub is there.
    pub(in crate::config) token_endpoint: Option<String>,
    /// The hub's client at the `token_endpoint`.
    pub(in crate::config) client_id: Option<String>,
    /// The secret of that client.
    pub(in crate::config) client_secret: Option<SecretText>,
    /// The private key of that client in PEM (P-256, RSA or Ed25519), in place of a secret.
    pub(in crate::config) client_key: Option<SecretText>,
    /// What the authorization server calls that key (`kid`).
    pub(in crate::config) client_key_id: Option<String>,
    /// How that client proves itself. Default: `private_key_jwt` with a key, `client_secret_basic` with a secret, else `none`.
    pub(in crate::config) client_auth: Option<ClientAuthMethod>,
    /// The token that is exchanged for every caller, such as a workload's identity. Default: each caller's own ID token.
    pub(in crate::config) subject_token: Option<SecretText>,
    /// The type of the `subject_token`: `access_token`, `id_token`, `jwt`, `refresh_token`, or a whole URN. Default: `id_token`.
    pub(in crate::config) subject_token_type: Option<String>,
    /// Whom the new token is for, where the endpoint wants that beside the server's URL.
    pub(in crate::config) audience: Option<String>,
    /// The scopes to ask for.
    #[serde(default)]
    pub(in crate::config) scopes: Vec<String>,
}

/// Enterprise-managed authorization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct IdJagAuth {
    /// The exchange at the identity provider.
    pub(in crate::config) idp: ExchangeAuth,
    /// The hub's client at the server's authorization server.
    pub(in crate::config) client_id: String,
    /// The secret of that client.
    pub(in crate::config) client_secret: Option<SecretText>,
    /// The private key of that client in PEM (P-256, RSA or Ed25519), in place of a secret.
    pub(in crate::config) client_key: Option<SecretText>,
    /// What the authorization server calls that key (`kid`).
    pub(in crate::config) client_key_id: Option<String>,
    /// How that client proves itself. Default: `private_key_jwt` with a key; else as the authorization server says.
    pub(in crate::config) client_auth: Option<ClientAuthMethod>,
}

/// How the hub presents itself to authorization servers of upstream servers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OauthClient {
    /// The URL of the hub's client id metadata document, where it is not `{public_url}/oauth/client-metadata.json`.
    pub(in crate::config) metadata_url: Option<String>,
    /// Where authorization servers send the browser back to, where it is not `{public_url}/oauth/upstream/callback`.
    pub(in crate::config) redirect_url: Option<String>,
}
