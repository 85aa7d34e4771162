//! How the hub presents itself to authorization servers (RFC 7591 section 2,
//! OAuth Client ID Metadata Document).

use serde_json::json;
use trunkline_model::{ClientAuthMethod, ServerName};
use url::Url;

use super::metadata::is_loopback;

/// The name under which people see the hub on consent pages.
const CLIENT_NAME: &str = "Trunkline";

/// How the hub presents itself to authorization servers.
#[derive(Debug, Clone)]
pub struct Presence {
    /// Without a slash at the end.
    pub public_url: String,
    /// The URL of the hub's client id metadata document; none where it could not be fetched.
    pub metadata_url: Option<String>,
    pub redirect_uri: String,
}

impl Presence {
    /// The hub at `public_url`; `metadata_url` and `redirect_url` stand in place of its own.
    pub fn new(public_url: &Url, metadata_url: Option<&Url>, redirect_url: Option<&Url>) -> Self {
        let base = public_url.as_str().trim_end_matches('/').to_owned();
        let is_public = public_url.scheme() == "https"
            && !is_loopback(public_url)
            && matches!(public_url.host(), Some(url::Host::Domain(name)) if name.contains('.'));
        let own = is_public.then(|| format!("{base}/oauth/client-metadata.json"));
        Self {
            metadata_url: metadata_url.map(Url::to_string).or(own),
            redirect_uri: redirect_url
                .map_or_else(|| format!("{base}/oauth/upstream/callback"), Url::to_string),
            public_url: base,
        }
    }

    /// Where a person connects a server.
    pub fn connect_url(&self, server: &ServerName) -> String {
        format!("{}/connections/{server}/connect", self.public_url)
    }

    /// The client id metadata document.
    pub(super) fn document(&self) -> serde_json::Value {
        let own = format!("{}/oauth/client-metadata.json", self.public_url);
        let id = self.metadata_url.clone().unwrap_or(own);
        let mut document = self.metadata(ClientAuthMethod::None, &[]);
        document["client_id"] = id.into();
        document
    }

    /// Client metadata (RFC 7591 section 2).
    pub(super) fn metadata(&self, method: ClientAuthMethod, scopes: &[String]) -> serde_json::Value {
        // A redirect to this machine is a native application's (OpenID Connect Registration section 2).
        let local = Url::parse(&self.redirect_uri).is_ok_and(|url| is_loopback(&url));
        let mut metadata = json!({
            "client_name": CLIENT_NAME,
            "client_uri": self.public_url,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "application_type": if local { "native" } else { "web" },
            "token_endpoint_auth_method": method.as_str(),
        });
        if !scopes.is_empty() {
            metadata["scope"] = scopes.join(" ").into();
        }
        metadata
    }
}
