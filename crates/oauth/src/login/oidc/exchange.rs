//! A code becomes tokens (OpenID Connect Core section 3.1.3), and an access
//! token what userinfo says (section 5.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use trunkline_model::Secret;
use trunkline_web::Outbound;
use url::{Url, form_urlencoded};

use super::metadata::Metadata;
use super::settings::IssuerSettings;
use super::{Claims, OidcError};
use crate::unambiguous::Unambiguous;

/// What the token endpoint gives. Debug shows nothing of it.
#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: Secret,
    access_token: Secret,
    /// Where offline access was granted.
    #[serde(default)]
    pub(super) refresh_token: Option<Secret>,
}

/// What a code is exchanged with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a str,
    pub(super) redirect_uri: &'a str,
}

/// What it says instead (RFC 6749 section 5.2).
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
}

pub(super) async fn code_for_tokens(
    outbound: &Outbound,
    metadata: &Metadata,
    settings: &IssuerSettings,
    proof: Proof<'_>,
) -> Result<Tokens, OidcError> {
    let request = token_request(metadata, settings, proof)?;
    let answer = outbound.send(request).await?;
    if answer.status() != StatusCode::OK {
        // A code of an error is for programs; descriptions may hold anything.
        let refusal = serde_json::from_slice::<Refusal>(answer.body()).ok();
        let error = refusal.map_or_else(|| answer.status().to_string(), |refusal| refusal.error);
        return Err(OidcError::Exchange(error.chars().filter(char::is_ascii_graphic).take(100).collect()));
    }
    serde_json::from_slice(answer.body())
        .map_err(|_| OidcError::Exchange("an answer without an ID token".to_owned()))
}

fn token_request(
    metadata: &Metadata,
    settings: &IssuerSettings,
    proof: Proof<'_>,
) -> Result<http::Request<Bytes>, OidcError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", proof.code)
        .append_pair("redirect_uri", proof.redirect_uri)
        .append_pair("code_verifier", proof.verifier);
    let mut request = http::Request::post(metadata.token_endpoint.as_str())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json");
    match &settings.client_secret {
        Some(secret) if !metadata.takes_secret_in_body() => {
            request = request.header(header::AUTHORIZATION, basic(&settings.client_id, secret)?);
        }
        Some(secret) => {
            form.append_pair("client_id", &settings.client_id);
            form.append_pair("client_secret", secret.expose());
        }
        None => {
            form.append_pair("client_id", &settings.client_id);
        }
    }
    request
        .body(Bytes::from(form.finish()))
        .map_err(|_| OidcError::Metadata("its token endpoint is not a URL"))
}

/// Adds the claims of userinfo, which must be about the same person.
pub(super) async fn add_userinfo(
    outbound: &Outbound,
    endpoint: &Url,
    tokens: &Tokens,
    claims: &mut Claims,
) -> Result<(), OidcError> {
    let request = http::Request::get(endpoint.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, sensitive(&format!("Bearer {}", tokens.access_token.expose()))?)
        .body(Bytes::new())
        .map_err(|_| OidcError::Metadata("its userinfo endpoint is not a URL"))?;
    let answer = outbound.send(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(OidcError::Away(format!("userinfo answered {}", answer.status())));
    }
    let userinfo: Option<Unambiguous> = serde_json::from_slice(answer.body()).ok();
    let userinfo = userinfo
        .and_then(Unambiguous::members)
        .ok_or_else(|| OidcError::Exchange("userinfo that cannot be read".to_owned()))?;
    // Section 5.3.2: or it is somebody else's.
    if userinfo.get("sub").and_then(Value::as_str) != claims.text("sub") {
        return Err(OidcError::Token("userinfo is about somebody else"));
    }
    claims.add(userinfo);
    Ok(())
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, OidcError> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
    sensitive(&format!("Basic {}", STANDARD.encode(pair)))
}

fn sensitive(text: &str) -> Result<HeaderValue, OidcError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| OidcError::Exchange("a token that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
