//! The configuration file as it is written. The JSON Schema is made of these
//! types, and a file is checked against that schema, so all three agree.

mod auth;
mod sign_in;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_model::{EraPin, HttpTransport, Instances, Members, ProfileAuth, ProfileScope, Selection};

pub(super) use auth::{ExchangeAuth, OauthAuth, OauthClient, ServerAuth};
pub(super) use sign_in::{Issuer, SignIn};

/// The configuration of a Trunkline hub.
///
/// `${NAME}` and `${NAME:-default}` in any value are filled in from the environment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Trunkline configuration")]
pub(super) struct File {
    /// The address and port to listen on. Default: `127.0.0.1:7400`.
    pub(super) listen: Option<String>,
    /// The URL under which clients reach the hub, without a path. Default: `http://` and the address of `listen`.
    pub(super) public_url: Option<String>,
    /// Further host names (with a port where it is not the usual one) that requests may be addressed to.
    pub(super) allowed_hosts: Vec<String>,
    /// Further web origins, such as `https://app.example.org`, whose pages may send requests.
    pub(super) allowed_origins: Vec<String>,
    /// Addresses and networks of reverse proxies, such as `10.1.0.0/16`, whose `X-Forwarded-For` says who the client is.
    pub(super) trusted_proxies: Vec<String>,
    /// `allowed` lets profiles with `auth: none` be served on an address that other machines can reach.
    pub(super) unauthenticated_network: Option<UnauthenticatedNetwork>,
    /// Where state is kept. Default: SQLite in the data directory.
    pub(super) database: Option<Database>,
    /// The key that seals secrets in the database: 32 bytes in Base64. Default: the file `secret.key` in the data
    /// directory, made at the first start.
    pub(super) secret_key: Option<SecretText>,
    /// Bounds that protect the hub.
    pub(super) limits: Limits,
    /// How people sign in.
    pub(super) sign_in: SignIn,
    /// How the hub presents itself to authorization servers of upstream servers.
    pub(super) oauth_client: OauthClient,
    /// What URLs may lead to that the hub learns from others: metadata of authorization servers, registrations, keys,
    /// documents of clients.
    pub(super) outbound: Outbound,
    /// The hub's own authorization server, for clients of profiles with `auth: oauth`.
    pub(super) authorization: Authorization,
    /// The catalogue: upstream MCP servers by name.
    pub(super) servers: IndexMap<String, Server>,
    /// The endpoints: profiles by name, each served at `/mcp/{name}`.
    pub(super) profiles: IndexMap<String, Profile>,
    /// Upstream providers of models by name. Read and checked; not served by this version.
    pub(super) providers: IndexMap<String, Provider>,
    /// Names of models that callers use, and where each goes. Read and checked; not served by this version.
    pub(super) routes: IndexMap<String, Route>,
}

/// A secret, or `file:` and the path of a file that holds it. `literal:` before a text keeps a leading `file:` as it is.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct SecretText(pub(super) String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretText(…)")
    }
}

/// Whether profiles without authentication may be reached from other machines.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnauthenticatedNetwork {
    /// Whoever reaches the address may call every tool of such a profile.
    Allowed,
    /// Such profiles are served on loopback addresses only.
    Refused,
}

/// Where state is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    /// `postgres://user:password@host/name`, or `file:` and the path of a file that holds such a URL.
    pub(super) url: SecretText,
}

/// Bounds that protect the hub.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// The largest body of a request, in bytes. Default: 4194304 (4 MiB).
    #[schemars(range(min = 1))]
    pub(super) request_bytes: Option<u64>,
    /// The largest answer taken from an upstream server, in bytes. Default: 33554432 (32 MiB).
    #[schemars(range(min = 1))]
    pub(super) response_bytes: Option<u64>,
}

/// What URLs may lead to that the hub learns from others.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Outbound {
    /// Host names, addresses and networks inside, such as `idp.corp.example` or `10.1.0.0/16`; `loopback` and `private`
    /// stand for all of theirs. Without them such URLs reach the public internet alone, by `https`.
    pub(super) allow: Vec<String>,
}

/// How clients become known to the hub's authorization server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Authorization {
    /// Whether clients may register themselves (RFC 7591). Default: true.
    pub(super) registration: Option<bool>,
    /// Whether a client's id may be the URL of a document that describes it. Default: true.
    pub(super) client_documents: Option<bool>,
    /// Copies of such documents, which are then not fetched: the URL, and the path of the file that holds the copy.
    pub(super) pinned_documents: IndexMap<String, String>,
    /// Identity providers whose identity assertions (ID-JAG) are taken for users of this hub.
    pub(super) assertion_issuers: Vec<AssertionIssuer>,
}

/// An identity provider whose assertions are taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssertionIssuer {
    /// Its `iss`, letter by letter.
    pub(super) issuer: String,
    /// The URL of its keys.
    pub(super) jwks_uri: String,
    /// The claim that holds what the user signs in with here, such as `email`, for users who have never signed in through
    /// this provider. Without it those are not let in.
    pub(super) login_claim: Option<String>,
}

/// An upstream MCP server: a `command`, or a `url`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    /// What the server is for, in a sentence.
    pub(super) description: Option<String>,
    /// The program to run; it speaks MCP on its standard input and output. No shell is involved.
    pub(super) command: Option<String>,
    /// The program's arguments.
    pub(super) args: Vec<String>,
    /// The program's environment, besides PATH, HOME and the like.
    pub(super) env: IndexMap<String, SecretText>,
    /// The directory that the program runs in.
    pub(super) cwd: Option<String>,
    /// The address of the server, `http` or `https`.
    pub(super) url: Option<String>,
    /// Headers that every request to the server carries.
    pub(super) headers: IndexMap<String, SecretText>,
    /// The credential for the server.
    pub(super) auth: Option<ServerAuth>,
    /// Which HTTP transport of MCP the server speaks. Default: `auto`.
    pub(super) transport: Option<HttpTransport>,
    /// Which era of the protocol the server speaks. Default: `auto`.
    pub(super) era: Option<EraPin>,
    /// Who shares a child process or an upstream session. Default: `per_user`.
    pub(super) instances: Option<Instances>,
    /// A child without a call for this long is stopped, such as `10m`. Default: `10m`.
    pub(super) idle_timeout: Option<String>,
    /// A call without an answer for this long is given up, such as `90s`. Default: `5m`.
    pub(super) call_timeout: Option<String>,
}

/// A named selection of servers and tools with its own endpoint and its own security.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Profile {
    /// What the profile is for, in a sentence.
    pub(super) description: Option<String>,
    /// How callers prove who they are. Default: `oauth`.
    pub(super) auth: Option<ProfileAuth>,
    /// Which of those who can sign in may use it. Default: all of them.
    pub(super) members: Option<Members>,
    /// Scopes that access tokens need for some of its tools, by name. API keys carry all of a profile.
    pub(super) scopes: BTreeMap<String, ProfileScope>,
    /// The servers of the catalogue that it takes, and what of each; `{}` takes everything.
    pub(super) servers: IndexMap<String, Option<Selection>>,
    /// The names of `routes` that its callers may use.
    pub(super) models: Vec<String>,
}

/// An upstream provider of models.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    /// Which API it speaks, such as `openai` or `anthropic`.
    pub(super) kind: String,
    /// The credential.
    pub(super) api_key: Option<SecretText>,
    /// The address of its API, where it is not the usual one.
    pub(super) base_url: Option<String>,
}

/// Where a name of a model goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// What is tried, in this order.
    #[schemars(length(min = 1))]
    pub(super) targets: Vec<Target>,
}

/// A model of a provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// One of `providers`.
    pub(super) provider: String,
    /// The provider's name of the model.
    pub(super) model: String,
    /// The share of requests among neighbours with a weight.
    pub(super) weight: Option<u32>,
}
