//! The provider's metadata (OpenID Connect Discovery 1.0 section 4).

use bytes::Bytes;
use serde::Deserialize;
use trunkline_web::Outbound;
use url::Url;

use super::OidcError;

/// What this hub needs of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) end_session_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 9207 section 3.
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Whether our credential goes into the body: where the provider takes it
    /// nowhere else (OpenID Connect Core section 9: Basic is the default).
    pub(crate) fn takes_secret_in_body(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let has = |name: &str| methods.iter().any(|method| method == name);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// Asks the provider, and checks that it is the one.
pub(super) async fn fetch(outbound: &Outbound, issuer: &str) -> Result<Metadata, OidcError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata: Metadata = get(outbound, &url, "its metadata cannot be read").await?;
    // Section 4.3: exactly.
    if metadata.issuer != issuer {
        return Err(OidcError::Metadata("it names another issuer"));
    }
    // A browser is sent there.
    if !matches!(metadata.authorization_endpoint.scheme(), "https" | "http") {
        return Err(OidcError::Metadata("its authorization endpoint is no web page"));
    }
    Ok(metadata)
}

/// The JSON at `url`.
pub(super) async fn get<T: serde::de::DeserializeOwned>(
    outbound: &Outbound,
    url: &str,
    fault: &'static str,
) -> Result<T, OidcError> {
    let request = http::Request::get(url)
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|_| OidcError::Metadata("a URL in it is none"))?;
    let answer = outbound.send(request).await?;
    if answer.status() != http::StatusCode::OK {
        return Err(OidcError::Away(format!("{url} answered {}", answer.status())));
    }
    serde_json::from_slice(answer.body()).map_err(|_| OidcError::Metadata(fault))
}
