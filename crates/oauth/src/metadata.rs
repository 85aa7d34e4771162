//! Protected resource metadata (RFC 9728): where a client finds the
//! authorization server of a profile's endpoint.

use serde::Serialize;
use trunkline_model::{ProfileName, TokenTarget};

use crate::base::well_known;
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

/// The document of `profile` on the hub at `base`.
pub fn protected_resource(base: &str, profile: &ProfileName) -> ProtectedResource {
    ProtectedResource {
        resource: format!("{base}/mcp/{profile}"),
        authorization_servers: vec![base.to_owned()],
        scopes_supported: vec![scope::MCP],
        bearer_methods_supported: vec!["header"],
        resource_name: format!("Trunkline profile {profile}"),
    }
}

/// The document of the admin API on the hub at `base`.
pub fn admin_api(base: &str) -> ProtectedResource {
    ProtectedResource {
        resource: format!("{base}{}", TokenTarget::AdminApi.path()),
        authorization_servers: vec![base.to_owned()],
        scopes_supported: vec![scope::ADMIN],
        bearer_methods_supported: vec!["header"],
        resource_name: "Trunkline admin API".to_owned(),
    }
}

/// Where that document is.
pub fn admin_api_url(base: &str) -> String {
    well_known(base, "oauth-protected-resource", &TokenTarget::AdminApi.path())
}

/// Where the document of a profile is.
pub fn protected_resource_url(base: &str, profile: &ProfileName) -> String {
    well_known(base, "oauth-protected-resource", &format!("/mcp/{profile}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_endpoint_and_issuer() {
        let profile = ProfileName::new("engineering").expect("a name");
        let expected = serde_json::json!({
            "resource": "http://localhost:7400/mcp/engineering",
            "authorization_servers": ["http://localhost:7400"],
            "scopes_supported": ["mcp"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Trunkline profile engineering",
        });
        let document =
            serde_json::to_value(protected_resource("http://localhost:7400", &profile)).expect("JSON");
        assert_eq!(document, expected);
    }
}
