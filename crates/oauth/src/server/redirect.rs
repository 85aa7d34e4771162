//! Redirect URIs: which may be registered, and when one is another's.

use url::{Host, Url};

/// Schemes that a browser acts on by itself, or that reach into the machine.
const FORBIDDEN_SCHEMES: [&str; 15] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "about",
    "view-source",
    "filesystem",
    "ftp",
    "ws",
    "wss",
    "mailto",
    "tel",
    "sms",
    "jar",
];
/// Characters of a redirect URI.
const LONGEST: usize = 2048;

/// Where a redirect leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A site.
    Web,
    /// A program that listens on this machine (RFC 8252 section 7.3).
    Loopback,
    /// A program that has claimed a scheme of its own (RFC 8252 section 7.1).
    PrivateUse,
}

impl Kind {
    /// Whether any program of the user's machine could be at the other end.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::PrivateUse)
    }
}

/// What a redirect URI is; none when it may not be one: it must be absolute,
/// without a fragment (RFC 6749 section 3.1.2) and without user or password,
/// and without encryption it stays on the machine (RFC 9700 section 2.1).
pub(crate) fn kind(text: &str) -> Option<Kind> {
    if text.len() > LONGEST
        || !text.bytes().all(|byte| byte.is_ascii_graphic())
        || text.contains(['#', '\\', '"', '<', '>'])
    {
        return None;
    }
    let url = Url::parse(text).ok()?;
    if !url.username().is_empty() || url.password().is_some() || text.contains("://@") {
        return None;
    }
    match url.scheme() {
        "https" => url.host().map(|_| Kind::Web),
        "http" => is_loopback(&url).then_some(Kind::Loopback),
        scheme if FORBIDDEN_SCHEMES.contains(&scheme) => None,
        // The parser takes what it does not know; a host of such a scheme is the app's own affair.
        scheme => (scheme.len() > 1).then_some(Kind::PrivateUse),
    }
}

/// Whether `asked` is the registered URI: letter by letter (RFC 9700 section
/// 4.1.3), save for the port of a program on this machine (RFC 8252 section
/// 7.3), which it knows only once it listens.
pub(crate) fn is_same(registered: &str, asked: &str) -> bool {
    if kind(asked).is_none() {
        return false;
    }
    if registered == asked {
        return true;
    }
    match (without_loopback_port(registered), without_loopback_port(asked)) {
        (Some(registered), Some(asked)) => registered == asked,
        _ => false,
    }
}

/// The text around the port of an `http` URI whose host is this machine. It
/// is cut, not rebuilt: what else differs stays different.
fn without_loopback_port(text: &str) -> Option<(&str, &str)> {
    if kind(text)? != Kind::Loopback {
        return None;
    }
    let rest = text.strip_prefix("http://")?;
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let host_end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let is_port =
        |port: &str| port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    (port.is_empty() || is_port(port)).then_some((host, tail))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What a person is told of where a redirect leads: its host, or its scheme.
pub(crate) fn destination(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return String::new() };
    match (kind(text), url.host_str()) {
        (Some(Kind::Loopback), _) => "a program on this computer".to_owned(),
        (Some(Kind::Web), Some(host)) => host.to_owned(),
        _ => format!("an app on this computer ({}:)", url.scheme()),
    }
}

/// What `form-action` of a content security policy must allow so that the
/// answer to a form may lead there: browsers hold redirects against it.
pub(crate) fn policy_source(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    match kind(text)? {
        Kind::PrivateUse => Some(format!("{}:", url.scheme())),
        Kind::Web | Kind::Loopback => Some(url.origin().ascii_serialization()),
    }
}

/// `uri` with these parameters added to its query.
pub(crate) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        encoded.append_pair(name, value);
    }
    let separator = match uri.find('?') {
        None => "?",
        Some(at) if at + 1 == uri.len() || uri.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{}", encoded.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_clients_register_today_is_accepted() {
        let cases = [
            ("http://localhost:3118/callback", Kind::Loopback),
            ("http://127.0.0.1/", Kind::Loopback),
            ("http://127.0.0.1:33418/", Kind::Loopback),
            ("http://[::1]:7777/oauth/callback", Kind::Loopback),
            ("https://vscode.dev/redirect", Kind::Web),
            ("https://claude.ai/api/mcp/auth_callback", Kind::Web),
            ("cursor://anysphere.cursor-mcp/oauth/callback", Kind::PrivateUse),
            ("com.example.app:/callback", Kind::PrivateUse),
        ];
        for (uri, expected) in cases {
            assert_eq!(kind(uri), Some(expected), "{uri}");
        }
    }

    #[test]
    fn what_leads_astray_cannot_be_a_redirect() {
        for bad in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "http://example.com/callback",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https://app.example/callback#fragment",
            "https://user@app.example/",
            "https://user:password@app.example/",
            "https://",
            "/callback",
            "callback",
            "",
            "https://app.example/a b",
            "https://app.example\\@evil.example/",
            "http://localhost@evil.example/",
            "c:/windows",
        ] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_port_of_this_machine_may_differ() {
        assert!(is_same("http://127.0.0.1/", "http://127.0.0.1:50123/"));
        assert!(is_same("http://127.0.0.1:33418/", "http://127.0.0.1:1/"));
        assert!(is_same("http://[::1]:1/cb", "http://[::1]:2/cb"));
        assert!(is_same("http://localhost:1/cb?a=b", "http://localhost:2/cb?a=b"));
        for (registered, asked) in [
            ("http://127.0.0.1/", "http://localhost:50123/"),
            ("http://localhost:1/cb", "http://localhost:1/cb/"),
            ("http://localhost:1/cb", "http://localhost:1/CB"),
            ("http://localhost:1/cb", "http://localhost:1/%63b"),
            ("http://localhost:1/cb", "http://localhost:1/cb?x=1"),
            ("http://localhost:1/cb", "http://localhost:1/x/../cb"),
            ("http://localhost:1/cb", "https://localhost:1/cb"),
            ("https://app.example/cb", "https://app.example:444/cb"),
            ("https://app.example/cb", "https://app.example/cb/.."),
            ("https://app.example/cb", "https://APP.example/cb"),
            ("http://localhost:1/cb", "http://localhost:1@evil.example/cb"),
            ("app:/cb", "app:/cb2"),
        ] {
            assert!(!is_same(registered, asked), "{registered} is not {asked}");
        }
    }

    #[test]
    fn an_answer_keeps_the_query_of_its_redirect() {
        let add = |uri| with_parameters(uri, &[("code", "a b"), ("iss", "https://h")]);
        assert_eq!(add("http://localhost:1/cb"), "http://localhost:1/cb?code=a+b&iss=https%3A%2F%2Fh");
        assert_eq!(add("https://a.example/?x=1"), "https://a.example/?x=1&code=a+b&iss=https%3A%2F%2Fh");
        assert_eq!(add("app:/cb?"), "app:/cb?code=a+b&iss=https%3A%2F%2Fh");
    }

    proptest! {
        #[test]
        fn a_redirect_is_itself_and_nothing_is_mistaken_for_it(
            registered in "(https?|app)://(localhost|127\\.0\\.0\\.1|\\[::1\\]|app\\.example)(:[0-9]{1,4})?(/[a-z]{0,4})?(\\?a=[a-z])?",
            asked in "(https?|app)://([a-z]@)?(localhost|127\\.0\\.0\\.1|\\[::1\\]|app\\.example)(:[0-9]{1,4})?(/[a-zA-Z%.]{0,4})?(\\?a=[a-z])?(#x)?",
        ) {
            if kind(&registered).is_some() {
                prop_assert!(is_same(&registered, &registered));
            }
            if is_same(&registered, &asked) && registered != asked {
                let (left, right) = (Url::parse(&registered).expect("a URL"), Url::parse(&asked).expect("a URL"));
                prop_assert_eq!(left.scheme(), "http");
                prop_assert_eq!(left.host(), right.host());
                prop_assert_eq!(left.path(), right.path());
                prop_assert_eq!(left.query(), right.query());
                prop_assert!(is_loopback(&right));
                prop_assert!(right.username().is_empty() && right.fragment().is_none());
            }
        }

        #[test]
        fn junk_is_never_the_same(registered in ".{0,40}", asked in ".{0,40}") {
            prop_assert!(!is_same(&registered, &asked) || kind(&asked).is_some());
        }
    }
}
