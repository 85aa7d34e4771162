//! Protected resource metadata (RFC 9728): where a client finds the
//! authorization server of a profile's endpoint.

use serde::Serialize;
use trunkline_model::ProfileName;
use url::Url;

use crate::scope;

/// The document at `/.well-known/oauth-protected-resource/mcp/{profile}`
/// (RFC 9728 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtectedResource {
    /// The endpoint; clients compare it with the URL they were given.
    pub resource: String,
    /// Issuers; ours is the only one.
    pub authorization_servers: Vec<String>,
    /// What a client needs to begin, and no more: many ask for all that stands here.
    pub scopes_supported: Vec<&'static str>,
    /// Tokens are taken from the Authorization header alone (RFC 6750 section 2.1).
    pub bearer_methods_supported: Vec<&'static str>,
    /// For people.
    pub resource_name: String,
}

/// The document of `profile` on the hub at `public_url`.
pub fn protected_resource(public_url: &Url, profile: &ProfileName) -> ProtectedResource {
    let issuer = without_slash(public_url);
    ProtectedResource {
        resource: format!("{issuer}/mcp/{profile}"),
        authorization_servers: vec![issuer.to_owned()],
        scopes_supported: vec![scope::MCP],
        bearer_methods_supported: vec!["header"],
        resource_name: format!("Trunkline profile {profile}"),
    }
}

/// Where that document is: the well-known part stands before the path of the
/// resource (RFC 9728 section 3.1).
pub fn protected_resource_url(public_url: &Url, profile: &ProfileName) -> String {
    let origin = public_url.origin().ascii_serialization();
    let path = public_url.path().trim_end_matches('/');
    format!("{origin}/.well-known/oauth-protected-resource{path}/mcp/{profile}")
}

pub(crate) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_endpoint_and_issuer() {
        let url = "http://localhost:7400".parse().expect("a URL");
        let profile = ProfileName::new("engineering").expect("a name");
        let expected = serde_json::json!({
            "resource": "http://localhost:7400/mcp/engineering",
            "authorization_servers": ["http://localhost:7400"],
            "scopes_supported": ["mcp"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Trunkline profile engineering",
        });
        let document = serde_json::to_value(protected_resource(&url, &profile)).expect("JSON");
        assert_eq!(document, expected);
    }

    #[test]
    fn the_well_known_part_stands_before_the_path() {
        let profile = ProfileName::new("a").expect("a name");
        let at = |url: &str| protected_resource_url(&url.parse().expect("a URL"), &profile);
        assert_eq!(
            at("https://hub.example/"),
            "https://hub.example/.well-known/oauth-protected-resource/mcp/a"
        );
        assert_eq!(
            at("https://x.example/hub"),
            "https://x.example/.well-known/oauth-protected-resource/hub/mcp/a"
        );
    }
}
