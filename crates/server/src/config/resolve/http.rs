//! A server behind a URL.

use std::collections::HashSet;

use trunkline_model::{HttpEndpoint, Secret, ServerAuth};
use url::{Host, Url};

use super::super::file;
use super::super::file::Server;
use super::super::path::Path;
use super::Resolver;

/// Headers that belong to the protocol or the connection; the hub sets them.
const OURS: [&str; 17] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Words in the name of a query parameter that say its value is a secret.
const SECRET_WORDS: [&str; 14] = [
    "apikey",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
    "accesstoken",
];

impl Resolver<'_> {
    pub(super) fn http(&mut self, url: &str, server: &Server, path: &Path) -> Option<HttpEndpoint> {
        let url = self.server_url(url, &path.key("url"));
        let mut headers = self.headers(server, path);
        let auth = self.auth(server, path, &mut headers);
        let url = url?;
        if url.scheme() == "http"
            && !is_local(&url)
            && (!headers.is_empty() || !matches!(auth, ServerAuth::None))
        {
            self.note(format!(
                "{path}: its credential is sent without encryption, because the URL is `http`"
            ));
        }
        let transport = server.transport.unwrap_or_default();
        Some(HttpEndpoint { url: url.to_string(), transport, headers, auth })
    }

    /// An absolute URL of a web server that names nobody.
    pub(super) fn url(&mut self, text: &str, path: &Path) -> Option<Url> {
        let written = self.places.written(path).to_owned();
        let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
            let help = "write an absolute one, such as `https://example.org/mcp`".to_owned();
            self.refuse(path, "is not a URL", Some(help));
            return None;
        };
        if !matches!(url.scheme(), "http" | "https") {
            self.refuse(path, format!("{written:?} is neither `http` nor `https`"), None);
            return None;
        }
        if !url.username().is_empty() || url.password().is_some() {
            let help = "write the credential in `auth` or `headers`; a URL is shown and logged".to_owned();
            self.refuse(path, "holds a user name or password", Some(help));
            return None;
        }
        if url.fragment().is_some() {
            self.refuse(path, "has a fragment (`#…`), which is never sent", None);
            return None;
        }
        Some(url)
    }

    fn server_url(&mut self, text: &str, path: &Path) -> Option<Url> {
        let url = self.url(text, path)?;
        let secret = url.query_pairs().map(|(name, _)| name.into_owned()).find(|name| names_a_secret(name));
        if let Some(name) = secret {
            let help = "a URL is shown and logged: write the secret in `auth: { bearer: … }` or in `headers`";
            self.refuse(path, format!("carries a secret in its query (`{name}`)"), Some(help.to_owned()));
            return None;
        }
        Some(url)
    }

    fn headers(&mut self, server: &Server, path: &Path) -> Vec<(String, Secret)> {
        let mut headers = Vec::with_capacity(server.headers.len());
        let mut seen = HashSet::new();
        for (name, value) in &server.headers {
            let path = path.key("headers").key(name);
            if !seen.insert(name.to_ascii_lowercase()) {
                self.refuse(
                    &path,
                    "stands here twice; case makes no difference in the name of a header",
                    None,
                );
            } else if let Some(header) = self.header(name, value, &path) {
                headers.push(header);
            }
        }
        headers
    }

    pub(super) fn header(
        &mut self,
        name: &str,
        value: &file::SecretText,
        path: &Path,
    ) -> Option<(String, Secret)> {
        let lower = name.to_ascii_lowercase();
        if http::HeaderName::try_from(lower.as_str()).is_err() {
            self.refuse(path, "is not the name of a header", None);
            return None;
        }
        if OURS.contains(&lower.as_str()) {
            self.refuse(path, "is a header that the hub sets itself", None);
            return None;
        }
        let value = self.secret(value, path)?;
        self.sendable(&value, path).then(|| (name.to_owned(), value))
    }

    /// Whether a header can carry `value` (RFC 9110 section 5.5).
    pub(super) fn sendable(&mut self, value: &Secret, path: &Path) -> bool {
        let sendable = http::HeaderValue::from_str(value.expose()).is_ok() && !value.expose().is_empty();
        if !sendable {
            self.refuse(path, "is empty, or holds a character that no header can carry", None);
        }
        sendable
    }
}

/// Whether the URL leads to this machine.
pub(crate) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn names_a_secret(parameter: &str) -> bool {
    let lower = parameter.to_ascii_lowercase();
    let parts = lower.split(['-', '_', '.']).chain([lower.as_str()]);
    parts.into_iter().any(|part| SECRET_WORDS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_parameter_tells_a_secret() {
        for secret in ["api_key", "apiKey", "token", "access-token", "sig", "X-Amz-Signature", "AUTH"] {
            assert!(names_a_secret(secret), "{secret}");
        }
        for harmless in ["project", "keyboard", "author", "region", "tokens_per_page_limit2", "design"] {
            assert!(!names_a_secret(harmless), "{harmless}");
        }
    }
}
