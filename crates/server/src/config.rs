//! The configuration: one YAML file, checked whole before any of it counts.
//!
//! A file goes through these steps: [`tree`] parses it and remembers places,
//! [`interpolate`] fills in `${…}`, [`shape`] holds it against the JSON Schema
//! of [`file`], [`resolve`] checks what the schema cannot say. Every step
//! reports all the faults it finds, each with its line and column.

mod duration;
mod file;
mod interpolate;
mod path;
mod problem;
mod resolve;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod tree;
mod watch;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;

use indexmap::IndexMap;
use trunkline_model::{Endpoint, ProfileAuth, ProfileName, ProfileSpec, Secret, ServerName, ServerSpec};
use trunkline_oauth::login::SignInSettings;
use trunkline_web::{OutboundPolicy, TrustedProxies};
use url::Url;

pub use duration::parse_duration;
pub(crate) use problem::suggestion;
pub use problem::{ConfigErrors, Position, Problem};
pub(crate) use resolve::is_local;
pub use schema::schema;
pub use watch::watch;

use crate::env;

/// Where the hub listens when the configuration does not say.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);

/// A configuration that has passed every check.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// The URL under which clients reach the hub; none means [`Config::base_url`] makes one.
    pub public_url: Option<Url>,
    /// Further values of `Host` that are answered, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Further values of `Origin` that are answered.
    pub allowed_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// The operator has said in words that profiles with `auth: none` may be reached from other machines.
    pub unauthenticated_network: bool,
    /// A PostgreSQL URL; none means SQLite in the data directory.
    pub database_url: Option<Secret>,
    /// The key that seals secrets, 32 bytes in Base64; none means the key file in the data directory.
    pub secret_key: Option<Secret>,
    pub limits: Limits,
    /// How people sign in.
    pub sign_in: SignInSettings,
    pub oauth_client: OauthClient,
    /// What URLs may lead to that others name.
    pub outbound: OutboundPolicy,
    /// What the operator decides about clients that sign in.
    pub authorization: trunkline_oauth::server::Settings,
    pub servers: BTreeMap<ServerName, ServerSpec>,
    pub server_descriptions: BTreeMap<ServerName, String>,
    /// In the order of the file.
    pub profiles: IndexMap<ProfileName, ProfileSpec>,
    pub profile_descriptions: BTreeMap<ProfileName, String>,
    /// What an operator should know although it is no fault.
    pub notes: Vec<String>,
    /// Tells the file's content from any other; none when there is no file.
    pub(crate) fingerprint: Option<u64>,
}

/// Bounds that protect the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub request_bytes: u64,
    /// The largest answer taken from an upstream server, in bytes.
    pub response_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes: 4 * 1024 * 1024, response_bytes: 32 * 1024 * 1024 }
    }
}

/// How the hub presents itself to authorization servers of upstream servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OauthClient {
    /// In place of the document that the hub serves.
    pub metadata_url: Option<Url>,
    /// In place of the hub's own callback.
    pub redirect_url: Option<Url>,
}

impl Default for Config {
    /// What an empty file says.
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            public_url: None,
            oauth_client: OauthClient::default(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            unauthenticated_network: false,
            database_url: None,
            secret_key: None,
            limits: Limits::default(),
            sign_in: SignInSettings::default(),
            outbound: OutboundPolicy::default(),
            authorization: trunkline_oauth::server::Settings::default(),
            servers: BTreeMap::new(),
            server_descriptions: BTreeMap::new(),
            profiles: IndexMap::new(),
            profile_descriptions: BTreeMap::new(),
            notes: Vec::new(),
            fingerprint: None,
        }
    }
}

impl Config {
    /// The URL under which clients reach the hub that listens on `listen`, without a slash at its end.
    pub fn base_url(&self, listen: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if listen.ip().is_unspecified() => format!("http://localhost:{}", listen.port()),
            None => format!("http://{listen}"),
        }
    }

    /// Notes which providers' sign-ins are kept for servers that are shown who calls.
    fn keep_identities(&mut self) {
        for spec in self.servers.values() {
            let Endpoint::Http(endpoint) = &spec.endpoint else { continue };
            let Some(provider) = endpoint.auth.shows_caller_of() else { continue };
            let mut issuers = self.sign_in.issuers.iter_mut();
            if let Some(issuer) = issuers.find(|issuer| issuer.name == provider) {
                issuer.keeps_identity = true;
            }
        }
    }

    /// Why the hub must not listen on `address`, if so: other machines can
    /// reach it, a profile has `auth: none`, and the operator has not allowed that.
    pub fn exposure(&self, address: SocketAddr) -> Option<String> {
        if address.ip().is_loopback() || self.unauthenticated_network {
            return None;
        }
        let profile = self.profiles.values().find(|profile| profile.auth == ProfileAuth::None)?;
        Some(format!(
            "the profile `{}` has `auth: none`, and {address} is not a loopback address; use `auth: api_key`, or \
             write `unauthenticated_network: allowed`",
            profile.name
        ))
    }
}

/// Reads, fills in from the environment, and checks the file at `path`.
///
/// # Errors
/// Every fault that was found.
pub fn load(path: &FilePath) -> Result<Config, ConfigErrors> {
    load_with(path, &env::lookup)
}

/// Does what [`load`] does for a hub that listens on `address`, whatever the file says.
///
/// # Errors
/// Every fault that was found.
pub fn load_for(path: &FilePath, address: SocketAddr) -> Result<Config, ConfigErrors> {
    let config = load(path)?;
    match config.exposure(address) {
        None => Ok(config),
        Some(fault) => Err(ConfigErrors::new(path, vec![Problem::of_file(fault)])),
    }
}

/// Does what [`load`] does, with `lookup` in place of the environment.
pub fn load_with(path: &FilePath, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    let text = read(path).map_err(|fault| ConfigErrors::new(path, vec![Problem::of_file(fault)]))?;
    parse(&text, path, lookup)
}

/// Checks `text` as if it stood in the file `path`.
///
/// # Errors
/// Every fault that was found.
pub fn parse(
    text: &str,
    path: &FilePath,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    let mut problems = Vec::new();
    let mut tree = match tree::parse(text, &mut problems) {
        Ok(tree) => tree,
        Err(fault) => return Err(ConfigErrors::new(path, vec![fault])),
    };
    interpolate::expand_tree(&mut tree, &path::Path::root(), lookup, &mut problems);
    let schema = schema().to_value();
    let shaped = shape::shape(&schema, &tree);
    problems.extend(shaped.problems);
    let config = match serde_json::from_value::<file::File>(shaped.json) {
        Ok(file) => {
            // absolute, because a child may run in another directory than the hub
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let directory = path.parent().unwrap_or(&path);
            let (config, faults) = resolve::resolve(&file, &shaped.places, &shaped.broken, directory);
            problems.extend(faults);
            config
        }
        // a value that is required does not fit, which is reported already
        Err(_) if !problems.is_empty() => Config::default(),
        // serde's words may quote a value, which may be a secret
        Err(_) => return Err(ConfigErrors::new(path, vec![Problem::of_file("does not fit the schema")])),
    };
    if !problems.is_empty() {
        return Err(ConfigErrors::new(path, problems));
    }
    Ok(Config { fingerprint: Some(watch::fingerprint(text.as_bytes())), ..config })
}

fn read(path: &FilePath) -> Result<String, String> {
    use std::io::Read as _;

    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut text = String::new();
    let limit = tree::LARGEST_FILE as u64 + 1;
    file.take(limit).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() > tree::LARGEST_FILE {
        return Err(format!("is larger than {} bytes", tree::LARGEST_FILE));
    }
    Ok(text)
}
