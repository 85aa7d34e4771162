//! From what the file says to what the hub works with: names, addresses and
//! secrets are checked here, and every fault is collected.

mod auth;
mod authorization;
mod command;
mod http;
mod profile;
mod provider;
mod secret;
mod server;
mod sign_in;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::time::Duration;

use trunkline_web::{OutboundPolicy, TrustedProxies};
use url::Url;

pub(crate) use self::http::is_local;
use super::duration::parse_duration;
use super::file::{File, UnauthenticatedNetwork};
use super::path::Path;
use super::problem::Problem;
use super::shape::Places;
use super::{Config, DEFAULT_LISTEN, Limits};

/// Collects faults on the way from a [`File`] to a [`Config`].
struct Resolver<'a> {
    places: &'a Places,
    /// What is reported already: nothing more is said about it.
    broken: &'a [Path],
    /// The directory of the file: relative paths start there.
    directory: &'a FilePath,
    /// The identity providers of `sign_in`.
    sign_in_providers: Vec<String>,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

/// Makes a configuration of `file` as far as it can, and lists what is wrong with it.
pub(super) fn resolve(
    file: &File,
    places: &Places,
    broken: &[Path],
    directory: &FilePath,
) -> (Config, Vec<Problem>) {
    let mut resolver = Resolver {
        places,
        broken,
        directory,
        sign_in_providers: file.sign_in.issuers.keys().cloned().collect(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let root = Path::root();
    let mut config = Config {
        listen: resolver.listen(file.listen.as_deref(), &root.key("listen")),
        public_url: resolver.public_url(file.public_url.as_deref(), &root.key("public_url")),
        allowed_hosts: resolver.hosts(&file.allowed_hosts, &root.key("allowed_hosts")),
        allowed_origins: resolver.origins(&file.allowed_origins, &root.key("allowed_origins")),
        trusted_proxies: resolver.proxies(&file.trusted_proxies, &root.key("trusted_proxies")),
        unauthenticated_network: matches!(
            file.unauthenticated_network,
            Some(UnauthenticatedNetwork::Allowed)
        ),
        database_url: resolver.database(file.database.as_ref(), &root.key("database").key("url")),
        secret_key: resolver.secret_key(file.secret_key.as_ref(), &root.key("secret_key")),
        limits: Limits::default(),
        outbound: resolver.outbound(&file.outbound.allow, &root.key("outbound").key("allow")),
        authorization: resolver.authorization(&file.authorization, &root.key("authorization")),
        ..Config::default()
    };
    config.limits.request_bytes = file.limits.request_bytes.unwrap_or(config.limits.request_bytes);
    config.limits.response_bytes = file.limits.response_bytes.unwrap_or(config.limits.response_bytes);
    resolver.sign_in(&file.sign_in, &mut config);
    config.oauth_client = resolver.oauth_client(&file.oauth_client, &root.key("oauth_client"));
    resolver.servers(&file.servers, &mut config);
    config.keep_identities();
    resolver.profiles(file, &mut config);
    resolver.providers(file);
    config.notes = resolver.notes;
    (config, resolver.problems)
}

impl Resolver<'_> {
    /// Reports a fault of the value at `path`, unless something about it is reported already.
    fn refuse(&mut self, path: &Path, message: impl Into<String>, help: Option<String>) {
        if self
            .broken
            .iter()
            .any(|broken| broken.is_within(path) || (path.is_within(broken) && !broken.is_root()))
        {
            return;
        }
        self.problems.push(Problem {
            position: self.places.position(path),
            path: path.to_string(),
            message: message.into(),
            help,
        });
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn listen(&mut self, text: Option<&str>, path: &Path) -> SocketAddr {
        let Some(text) = text else { return DEFAULT_LISTEN };
        let port_of_localhost = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        if let Some(port) = port_of_localhost {
            return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        }
        text.parse().unwrap_or_else(|_| {
            let written = self.places.written(path).to_owned();
            let help = "write one such as `127.0.0.1:7400`, `0.0.0.0:7400` or `[::]:7400`".to_owned();
            self.refuse(path, format!("{written:?} is not an address with a port"), Some(help));
            DEFAULT_LISTEN
        })
    }

    fn public_url(&mut self, text: Option<&str>, path: &Path) -> Option<Url> {
        let url = self.url(text?, path)?;
        if url.path() != "/" || url.query().is_some() {
            let help = "endpoints stand at fixed paths such as `/mcp/{profile}`; give the hub a host name of its own";
            self.refuse(path, "has a path or a query", Some(help.to_owned()));
            return None;
        }
        Some(url)
    }

    fn hosts(&mut self, hosts: &[String], path: &Path) -> Vec<String> {
        for (index, host) in hosts.iter().enumerate() {
            let url = Url::parse(&format!("http://{host}/"));
            let plain =
                url.is_ok_and(|url| url.username().is_empty() && url.path() == "/" && url.query().is_none());
            if !plain || host.contains(['/', '*', '?', '#', '@']) {
                let help =
                    "write a host name, with a port where it is not the usual one: `hub.example.org:8443`";
                self.refuse(&path.index(index), "is not a host name", Some(help.to_owned()));
            }
        }
        hosts.iter().map(|host| host.to_ascii_lowercase()).collect()
    }

    fn origins(&mut self, origins: &[String], path: &Path) -> Vec<String> {
        let is_origin = |origin: &str| {
            Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https" | "vscode-webview")
                    && url.path().len() <= 1
                    && origin.trim_end_matches('/') == format!("{}://{}", url.scheme(), authority(&url))
            })
        };
        for (index, origin) in origins.iter().enumerate() {
            if !is_origin(origin) {
                let help = "write scheme and host, such as `https://app.example.org`; there is no wildcard";
                self.refuse(&path.index(index), "is not a web origin", Some(help.to_owned()));
            }
        }
        origins.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect()
    }

    fn proxies(&mut self, entries: &[String], path: &Path) -> TrustedProxies {
        for (index, entry) in entries.iter().enumerate() {
            if let Err(fault) = TrustedProxies::new([entry.as_str()]) {
                self.refuse(&path.index(index), fault.to_string(), None);
            }
        }
        TrustedProxies::new(entries.iter().map(String::as_str)).unwrap_or_default()
    }

    fn outbound(&mut self, allow: &[String], path: &Path) -> OutboundPolicy {
        let mut policy = OutboundPolicy::default();
        for (index, entry) in allow.iter().enumerate() {
            if let Err(fault) = policy.open(entry) {
                self.refuse(&path.index(index), fault.to_string(), None);
            }
        }
        policy
    }

    fn duration(&mut self, text: Option<&str>, default: Duration, path: &Path) -> Duration {
        let Some(text) = text else { return default };
        match parse_duration(text) {
            Ok(duration) if !duration.is_zero() => return duration,
            Ok(_) => self.refuse(path, "must be longer than nothing", None),
            Err(_) => {
                let written = self.places.written(path).to_owned();
                let help = "write one such as `90s`, `10m` or `1h30m`".to_owned();
                self.refuse(path, format!("{written:?} is not a length of time"), Some(help));
            }
        }
        default
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
