//! Under which URLs the hub is the same hub.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use url::{Host, Url};

/// Where clients reach the hub. Clients compare what it says of itself with
/// the URL that they were given, letter by letter (RFC 9728 section 3.3, RFC
/// 8414 section 3.3). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Base {
    /// Without a slash at the end.
    canonical: Arc<str>,
    /// The same with `localhost` in place of the address, for a hub of this
    /// machine alone whose operator has not said what it is called.
    local: Option<Arc<str>>,
}

impl Base {
    /// The one URL that the operator has set.
    pub fn fixed(url: &Url) -> Self {
        Self { canonical: without_slash(url).into(), local: None }
    }

    /// The URL of the address that the hub listens on; where that is of this
    /// machine alone, `localhost` leads there too.
    pub fn of_listener(url: &Url) -> Self {
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let local = is_loopback.then(|| format!("{}://localhost{port}", url.scheme()).into());
        Self { local, ..Self::fixed(url) }
    }

    /// What tokens name, whoever asks.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What whoever sends these headers calls the hub.
    pub fn seen_in(&self, headers: &HeaderMap) -> &str {
        self.named_by(headers.get(header::HOST))
    }

    /// What whoever asks for this host calls the hub.
    pub fn named_by(&self, host: Option<&HeaderValue>) -> &str {
        let host = host.and_then(|host| host.to_str().ok());
        let seen = self.local.as_deref().zip(host).filter(|(local, host)| {
            // On another port there may be somebody else.
            local.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        });
        seen.map_or(&self.canonical, |(local, _)| local)
    }

    /// The path of a URL of this hub, by whichever of its names.
    pub fn path_of<'a>(&self, url: &'a str) -> Option<&'a str> {
        let names = std::iter::once(&self.canonical).chain(&self.local);
        names
            .filter_map(|name| url.strip_prefix(&**name))
            .find(|path| path.is_empty() || path.starts_with('/'))
    }
}

pub(crate) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// The well-known part stands before the path of a resource (RFC 9728 section 3.1).
pub(crate) fn well_known(base: &str, name: &str, path: &str) -> String {
    let start = base.find("://").map_or(0, |scheme| scheme + 3);
    let end = base[start..].find('/').map_or(base.len(), |slash| start + slash);
    format!("{}/.well-known/{name}{}{path}", &base[..end], &base[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, host.parse().expect("a value"))])
    }

    #[test]
    fn a_hub_of_this_machine_is_called_as_its_client_calls_it() {
        let base = Base::of_listener(&"http://127.0.0.1:7400".parse().expect("a URL"));
        for (host, expected) in [
            ("localhost:7400", "http://localhost:7400"),
            ("LocalHost:7400", "http://localhost:7400"),
            ("127.0.0.1:7400", "http://127.0.0.1:7400"),
            ("localhost:7401", "http://127.0.0.1:7400"),
            ("localhost", "http://127.0.0.1:7400"),
            ("evil.example", "http://127.0.0.1:7400"),
        ] {
            assert_eq!(base.seen_in(&headers(host)), expected, "{host}");
        }
        assert_eq!(base.seen_in(&HeaderMap::new()), "http://127.0.0.1:7400");
        assert_eq!(base.path_of("http://localhost:7400/mcp/a"), Some("/mcp/a"));
        assert_eq!(base.path_of("http://127.0.0.1:7400"), Some(""));
        for foreign in
            ["http://localhost:74000/mcp/a", "http://localhost:7401/mcp/a", "https://localhost:7400/mcp/a"]
        {
            assert_eq!(base.path_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_name_that_the_operator_has_set_is_the_only_one() {
        let base = Base::fixed(&"http://127.0.0.1:7400".parse().expect("a URL"));
        assert_eq!(base.seen_in(&headers("localhost:7400")), "http://127.0.0.1:7400");
        assert_eq!(base.path_of("http://localhost:7400/mcp/a"), None);
        let everywhere = Base::of_listener(&"http://10.0.0.1:7400".parse().expect("a URL"));
        assert_eq!(everywhere.seen_in(&headers("localhost:7400")), "http://10.0.0.1:7400");
    }

    #[test]
    fn the_well_known_part_stands_before_the_path() {
        let at = |base| well_known(base, "oauth-protected-resource", "/mcp/a");
        assert_eq!(
            at("https://hub.example"),
            "https://hub.example/.well-known/oauth-protected-resource/mcp/a"
        );
        assert_eq!(
            at("https://x.example/hub"),
            "https://x.example/.well-known/oauth-protected-resource/hub/mcp/a"
        );
    }
}
