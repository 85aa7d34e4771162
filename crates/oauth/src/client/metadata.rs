//! What servers and authorization servers say of themselves, and which of it
//! is believed (RFC 9728, RFC 8414, OIDC Discovery; 2026-07-28,
//! basic/authorization).

use serde::Deserialize;
use thiserror::Error;
use url::{Host, Url};

/// Protected resource metadata (RFC 9728 section 2), as far as it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ResourceMetadata {
    pub resource: String,
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    #[serde(default)]
    pub scopes_supported: Option<Vec<String>>,
}

/// Authorization server metadata (RFC 8414 section 2), as far as it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ServerMetadata {
    pub issuer: String,
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    #[serde(default)]
    pub token_endpoint: Option<String>,
    #[serde(default)]
    pub registration_endpoint: Option<String>,
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    #[serde(default)]
    pub scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub grant_types_supported: Option<Vec<String>>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
}

/// Why a document is not believed; each says what is wrong in words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Lie {
    #[error("the metadata is for {resource:?}, which does not cover the server's URL {server}")]
    OtherResource { resource: String, server: String },
    #[error("the metadata names no authorization server")]
    NoAuthorizationServer,
    #[error("the document calls its issuer {found:?}, but {asked:?} was asked")]
    OtherIssuer { found: String, asked: String },
    #[error("the issuer {0:?} is not a URL that can be used")]
    Issuer(String),
    #[error("its {what} {url:?} {fault}")]
    Endpoint { what: &'static str, url: String, fault: &'static str },
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it does not say that it supports PKCE with S256, so nothing would bind the code to the hub")]
    NoPkce,
}

/// Where the metadata of `server` may be, the path form first (RFC 9728 section 3.1).
pub(super) fn resource_metadata_urls(server: &Url) -> Vec<String> {
    let origin = server.origin().ascii_serialization();
    let path = server.path().trim_end_matches('/');
    let root = format!("{origin}/.well-known/oauth-protected-resource");
    if path.is_empty() { vec![root] } else { vec![format!("{root}{path}"), root] }
}

/// Where the metadata of an issuer may be, in the order of the specification.
///
/// # Errors
/// [`Lie::Issuer`].
pub(super) fn server_metadata_urls(issuer: &str) -> Result<Vec<String>, Lie> {
    let url = Url::parse(issuer).map_err(|_| Lie::Issuer(issuer.to_owned()))?;
    let plain = url.query().is_none() && url.fragment().is_none() && has_no_user(&url) && url.has_host();
    if !plain || !matches!(url.scheme(), "http" | "https") {
        return Err(Lie::Issuer(issuer.to_owned()));
    }
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    Ok(urls)
}

impl ResourceMetadata {
    /// Whether the document speaks of `server`: the same origin, and a path
    /// that is the server's or stands above it.
    ///
    /// # Errors
    /// What it lies about.
    pub(super) fn check(&self, server: &Url) -> Result<(), Lie> {
        let covers = Url::parse(&self.resource).is_ok_and(|resource| {
            let path = resource.path().trim_end_matches('/');
            let rest = server.path().strip_prefix(path);
            resource.origin() == server.origin()
                && resource.origin().is_tuple()
                && has_no_user(&resource)
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if !covers {
            return Err(Lie::OtherResource { resource: cut(&self.resource), server: server.to_string() });
        }
        if self.authorization_servers.is_empty() {
            return Err(Lie::NoAuthorizationServer);
        }
        Ok(())
    }
}

impl ServerMetadata {
    /// Whether the document is the issuer's own and what it names can be used.
    ///
    /// # Errors
    /// What it lies about, or lacks.
    pub(super) fn check(&self, issuer: &str, trust: Trust) -> Result<(), Lie> {
        if !same_issuer(&self.issuer, issuer) {
            return Err(Lie::OtherIssuer { found: cut(&self.issuer), asked: issuer.to_owned() });
        }
        endpoint("token endpoint", self.token_endpoint.as_deref(), trust)?
            .ok_or(Lie::Missing("token endpoint"))?;
        endpoint("authorization endpoint", self.authorization_endpoint.as_deref(), trust)?;
        endpoint("registration endpoint", self.registration_endpoint.as_deref(), trust)?;
        endpoint("revocation endpoint", self.revocation_endpoint.as_deref(), trust)?;
        Ok(())
    }

    /// Whether a person's consent can be asked for.
    ///
    /// # Errors
    /// What is lacking.
    pub(super) fn check_for_code(&self) -> Result<(), Lie> {
        if self.authorization_endpoint.is_none() {
            return Err(Lie::Missing("authorization endpoint"));
        }
        let methods = self.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if methods.iter().any(|method| method == "S256") { Ok(()) } else { Err(Lie::NoPkce) }
    }

    /// What servers of 2025-03-26 have without saying so.
    pub(super) fn without_document(origin: &str) -> Self {
        Self {
            issuer: origin.to_owned(),
            authorization_endpoint: Some(format!("{origin}/authorize")),
            token_endpoint: Some(format!("{origin}/token")),
            registration_endpoint: Some(format!("{origin}/register")),
            code_challenge_methods_supported: Some(vec!["S256".to_owned()]),
            ..Self::default()
        }
    }
}

/// Which endpoints may be spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// None.
    Encrypted,
    /// Those of this machine: the operator's server is on it too.
    Local,
}

impl Trust {
    /// What the server's own URL, which an operator has written, allows.
    pub(super) fn of(server: &Url) -> Self {
        if is_loopback(server) { Self::Local } else { Self::Encrypted }
    }
}

/// # Errors
/// The URL cannot be used.
fn endpoint(what: &'static str, text: Option<&str>, trust: Trust) -> Result<Option<Url>, Lie> {
    let Some(text) = text else { return Ok(None) };
    let lie = |fault| Lie::Endpoint { what, url: cut(text), fault };
    let url = Url::parse(text).map_err(|_| lie("is not a URL"))?;
    let encrypted = url.scheme() == "https";
    if !encrypted && url.scheme() != "http" {
        return Err(lie("is not a web address"));
    }
    let allowed = encrypted || (trust == Trust::Local && is_loopback(&url));
    if !allowed {
        return Err(lie("is not https"));
    }
    if !has_no_user(&url) || url.fragment().is_some() {
        return Err(lie("has user information or a fragment"));
    }
    Ok(Some(url))
}

/// Issuers are compared as they are written (RFC 8414 section 3.3); a URL
/// without a path and the same with `/` are one URL (RFC 3986 section 6.2.3).
fn same_issuer(found: &str, asked: &str) -> bool {
    let root = |text: &str| Url::parse(text).is_ok_and(|url| url.path() == "/" && url.query().is_none());
    found == asked
        || (root(found) && root(asked) && found.trim_end_matches('/') == asked.trim_end_matches('/'))
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A text of somebody else, cut to what fits into words.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().filter(|character| !character.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn document(issuer: &str, token_endpoint: &str) -> ServerMetadata {
        ServerMetadata {
            token_endpoint: Some(token_endpoint.to_owned()),
            ..ServerMetadata::without_document(issuer)
        }
    }

    #[test]
    fn well_known_urls_come_in_the_order_of_the_specification() {
        assert_eq!(
            resource_metadata_urls(&url("https://s.example/public/mcp")),
            [
                "https://s.example/.well-known/oauth-protected-resource/public/mcp",
                "https://s.example/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            server_metadata_urls("https://as.example/tenant1").unwrap(),
            [
                "https://as.example/.well-known/oauth-authorization-server/tenant1",
                "https://as.example/.well-known/openid-configuration/tenant1",
                "https://as.example/tenant1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(server_metadata_urls("https://as.example").unwrap().len(), 2);
        for issuer in ["", "--x", "file:///etc/passwd", "javascript:alert(1)", "https://a@b/", "https://b/?x"]
        {
            assert!(server_metadata_urls(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn a_resource_covers_its_own_origin_and_what_is_below_its_path() {
        let covers = |resource: &str| {
            let metadata = ResourceMetadata {
                resource: resource.into(),
                authorization_servers: vec!["https://as.example".into()],
                ..ResourceMetadata::default()
            };
            metadata.check(&url("https://s.example/a/mcp")).is_ok()
        };
        for resource in
            ["https://s.example/a/mcp", "https://s.example/a", "https://s.example", "https://s.example/a/"]
        {
            assert!(covers(resource), "{resource}");
        }
        for resource in [
            "https://s.example/a/mc",
            "https://s.example/b",
            "https://evil.example/a/mcp",
            "http://s.example/a/mcp",
            "https://s.example:444/a/mcp",
            "https://u@s.example/a/mcp",
            "",
            "data:x",
        ] {
            assert!(!covers(resource), "{resource}");
        }
    }

    #[test]
    fn an_issuer_is_compared_as_it_is_written() {
        let check = |found: &str| {
            document(found, "https://as.example/token").check("https://as.example/t", Trust::Encrypted)
        };
        assert_eq!(check("https://as.example/t"), Ok(()));
        for other in ["https://as.example/t/", "https://AS.example/t", "https://evil.example/t", ""] {
            assert!(matches!(check(other), Err(Lie::OtherIssuer { .. })), "{other}");
        }
        let root = document("https://as.example/", "https://as.example/token");
        assert_eq!(root.check("https://as.example", Trust::Encrypted), Ok(()));
    }

    #[test]
    fn endpoints_that_nobody_may_follow_are_refused() {
        let check = |endpoint: &str, trust| document("https://a", endpoint).check("https://a", trust);
        assert_eq!(check("https://other.example/token", Trust::Encrypted), Ok(()));
        for bad in [
            "http://as.example/token",
            "http://127.0.0.1/token",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "--x",
            "https://user:password@as.example/token",
            "https://as.example/token#x",
        ] {
            assert!(matches!(check(bad, Trust::Encrypted), Err(Lie::Endpoint { .. })), "{bad}");
        }
        assert_eq!(check("http://127.0.0.1:9/token", Trust::Local), Ok(()));
        assert!(check("http://10.0.0.1/token", Trust::Local).is_err());
    }

    #[test]
    fn without_pkce_nobody_is_sent_there() {
        let mut metadata = ServerMetadata::without_document("https://a");
        assert_eq!(metadata.check_for_code(), Ok(()));
        for methods in [None, Some(vec!["plain".to_owned()]), Some(Vec::new())] {
            metadata.code_challenge_methods_supported = methods;
            assert_eq!(metadata.check_for_code(), Err(Lie::NoPkce));
        }
    }
}
