//! The token endpoint: what is asked, and what its answers mean (RFC 6749
//! sections 5 and 6, RFC 8707, RFC 9700).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use thiserror::Error;
use trunkline_model::{ClientAuthMethod, Secret, Timestamp};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::assertion;
use super::challenge::scopes;
use super::metadata::cut;
use super::transport::{Transport, TransportError};

/// No token is taken to live longer; what is said beyond is a mistake.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 366);

/// What a grant gave.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    pub obtained_at: Timestamp,
    /// By our clock from the moment of the answer, so that a clock that goes
    /// wrong elsewhere does not matter.
    pub expires_at: Option<Timestamp>,
}

/// Tokens, and for which scopes when the answer says so.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub tokens: Tokens,
    pub scopes: Option<Vec<String>>,
    /// The type of the token, such as `urn:ietf:params:oauth:token-type:id-jag` (RFC 8693 section 2.2.1).
    pub issued_token_type: Option<String>,
    /// What proves who signed in (OpenID Connect Core section 3.1.3.3).
    pub id_token: Option<Secret>,
}

/// How the hub proves which client it is.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub id: String,
    pub secret: Option<Secret>,
    /// Signed for one request.
    pub assertion: Option<Secret>,
    pub method: ClientAuthMethod,
}

/// Why there are no tokens. Only [`Self::Ended`] ends a grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// `invalid_grant` and its like: the grant is no more.
    #[error("the authorization server ended the grant: {said}")]
    Ended { said: String },
    /// `invalid_client`, `unauthorized_client`: it does not take us for its client.
    #[error("the authorization server does not accept the hub as its client: {said}")]
    Client { said: String },
    /// Any other refusal with a reason.
    #[error("the authorization server refused: {said}")]
    Refused { said: String },
    /// No answer that says anything about the grant: a time-out, HTTP 5xx, a
    /// page instead of JSON. It may have been carried out.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Option<Duration>, may_have_acted: bool },
}

/// Sends `form` to the token endpoint as the client of `proof`.
///
/// # Errors
/// [`TokenError`].
pub(crate) async fn ask(
    transport: &dyn Transport,
    endpoint: &str,
    proof: &Proof,
    form: &[(&str, &str)],
    now: impl Fn() -> Timestamp,
) -> Result<Granted, TokenError> {
    let request = request(endpoint, proof, form).ok_or_else(|| TokenError::Unavailable {
        reason: "the token endpoint cannot be called".to_owned(),
        retry_after: None,
        may_have_acted: false,
    })?;
    let response = transport.send(request).await.map_err(|error| unavailable(&error))?;
    read(&response, now())
}

/// A form to `endpoint` that proves the client; none when the URL cannot be called.
pub(super) fn request(endpoint: &str, proof: &Proof, form: &[(&str, &str)]) -> Option<Request<Bytes>> {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(form);
    let mut request = Request::post(endpoint).header(ACCEPT, "application/json");
    match (&proof.method, &proof.secret, &proof.assertion) {
        (ClientAuthMethod::ClientSecretBasic, Some(secret), _) => {
            // Both parts are encoded as in a form (RFC 6749 section 2.3.1).
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&proof.id), encoded(secret.expose()));
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
            // Some look the client up before they look at the header (the Python SDK).
            body.append_pair("client_id", &proof.id);
        }
        (ClientAuthMethod::ClientSecretPost, Some(secret), _) => {
            body.append_pair("client_id", &proof.id).append_pair("client_secret", secret.expose());
        }
        (ClientAuthMethod::PrivateKeyJwt, _, Some(assertion)) => {
            body.append_pair("client_id", &proof.id)
                .append_pair("client_assertion_type", assertion::KIND)
                .append_pair("client_assertion", assertion.expose());
        }
        (_, _, _) => {
            body.append_pair("client_id", &proof.id);
        }
    }
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Bytes::from(body.finish())).ok()
}

fn unavailable(error: &TransportError) -> TokenError {
    let may_have_acted =
        matches!(error, TransportError::TimedOut | TransportError::Broken(_) | TransportError::TooLarge);
    TokenError::Unavailable {
        reason: format!("the authorization server cannot be reached: {error}"),
        retry_after: None,
        may_have_acted,
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    issued_token_type: Option<String>,
    #[serde(default)]
    id_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

fn read(response: &Response<Bytes>, now: Timestamp) -> Result<Granted, TokenError> {
    let status = response.status();
    if status.is_success() {
        return granted(response.body(), now).ok_or_else(|| TokenError::Unavailable {
            reason: format!("the token endpoint answered HTTP {} without a token", status.as_u16()),
            retry_after: None,
            may_have_acted: true,
        });
    }
    let refusal: Option<Refusal> = serde_json::from_slice(response.body()).ok();
    match refusal {
        Some(refusal) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
            Err(refused(&refusal))
        }
        _ => Err(TokenError::Unavailable {
            reason: format!("the token endpoint answered HTTP {}", status.as_u16()),
            retry_after: retry_after(response),
            may_have_acted: status.is_server_error(),
        }),
    }
}

fn refused(refusal: &Refusal) -> TokenError {
    let said = match &refusal.error_description {
        Some(description) => format!("{}: {}", cut(&refusal.error), cut(description)),
        None => cut(&refusal.error),
    };
    match refusal.error.as_str() {
        // The last three are OpenID Connect's (Core section 3.1.2.6), where a policy wants the person again.
        "invalid_grant" | "interaction_required" | "consent_required" | "login_required" => {
            TokenError::Ended { said }
        }
        "invalid_client" | "unauthorized_client" => TokenError::Client { said },
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            TokenError::Unavailable { reason: said, retry_after: None, may_have_acted: false }
        }
        _ => TokenError::Refused { said },
    }
}

fn granted(body: &[u8], now: Timestamp) -> Option<Granted> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    // `N_A` is what an assertion is called that is no access token (RFC 8693 section 2.2.1).
    let known = |kind: &str| kind.eq_ignore_ascii_case("bearer") || kind == "N_A";
    if !answer.token_type.as_deref().is_none_or(known) || !is_sendable(&answer.access_token) {
        return None;
    }
    let seconds = answer.expires_in.as_ref().and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let life = seconds.map(|seconds: u64| Duration::from_secs(seconds).min(LONGEST_LIFE));
    Some(Granted {
        scopes: answer.scope.as_deref().map(scopes),
        issued_token_type: answer.issued_token_type,
        id_token: answer.id_token,
        tokens: Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token.filter(|token| !token.expose().is_empty()),
            obtained_at: now,
            expires_at: life.map(|life| now.plus(life)),
        },
    })
}

/// Whether a header can carry the token (RFC 6750 section 2.1).
fn is_sendable(token: &Secret) -> bool {
    !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(Duration::from_mins(10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn answer(status: u16, body: &str) -> Result<Granted, TokenError> {
        read(&Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap(), NOW)
    }

    #[test]
    fn only_answers_about_the_grant_end_it() {
        for error in ["invalid_grant", "interaction_required", "consent_required", "login_required"] {
            let said = answer(400, &format!(r#"{{"error":"{error}"}}"#)).unwrap_err();
            assert!(matches!(said, TokenError::Ended { .. }), "{error}");
        }
        for (status, body) in [
            (500, r#"{"error":"invalid_grant"}"#),
            (503, "<html>"),
            (502, ""),
            (429, r#"{"error":"invalid_grant"}"#),
            (400, "<html>invalid_grant</html>"),
            (404, "not found"),
            (302, ""),
            (200, "<html>"),
            (200, r#"{"token_type":"bearer"}"#),
            (200, r#"{"access_token":"a\nb"}"#),
            (200, r#"{"access_token":"a","token_type":"mac"}"#),
        ] {
            let said = answer(status, body).unwrap_err();
            assert!(matches!(said, TokenError::Unavailable { .. }), "{status} {body}: {said}");
        }
        let said = answer(401, r#"{"error":"invalid_client"}"#).unwrap_err();
        assert!(matches!(said, TokenError::Client { .. }));
        let said = answer(400, r#"{"error":"invalid_scope"}"#).unwrap_err();
        assert!(matches!(said, TokenError::Refused { .. }));
    }

    #[test]
    fn a_token_lives_from_the_moment_of_the_answer() {
        let life = |text: &str| {
            let body = format!(r#"{{"access_token":"a","expires_in":{text},"scope":"x y"}}"#);
            answer(200, &body).unwrap().tokens.expires_at
        };
        assert_eq!(life("60"), Some(NOW.plus(Duration::from_mins(1))));
        assert_eq!(life("\"60\""), Some(NOW.plus(Duration::from_mins(1))));
        for unknown in ["null", "-1", "\"soon\"", "1.5"] {
            assert_eq!(life(unknown), None, "{unknown}");
        }
        assert_eq!(life("99999999999999"), Some(NOW.plus(LONGEST_LIFE)));
    }

    #[test]
    fn a_client_proves_itself_in_one_place() {
        let proof = |method, secret: Option<&str>| Proof {
            id: "id:1".into(),
            secret: secret.map(Secret::new),
            assertion: (method == ClientAuthMethod::PrivateKeyJwt).then(|| Secret::new("j.w.t")),
            method,
        };
        let sent = |proof: &Proof| {
            let request = request("https://as/token", proof, &[("a", "b c")]).unwrap();
            let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            (header, String::from_utf8(request.into_body().to_vec()).unwrap())
        };
        let basic = sent(&proof(ClientAuthMethod::ClientSecretBasic, Some("s e")));
        assert_eq!(
            basic,
            (Some(format!("Basic {}", STANDARD.encode("id%3A1:s+e"))), "a=b+c&client_id=id%3A1".to_owned())
        );
        let post = sent(&proof(ClientAuthMethod::ClientSecretPost, Some("s")));
        assert_eq!(post, (None, "a=b+c&client_id=id%3A1&client_secret=s".to_owned()));
        let signed = sent(&proof(ClientAuthMethod::PrivateKeyJwt, Some("s")));
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let expected = format!("a=b+c&client_id=id%3A1&client_assertion_type={kind}&client_assertion=j.w.t");
        assert_eq!(signed, (None, expected));
        let public = sent(&proof(ClientAuthMethod::None, Some("s")));
        assert_eq!(public, (None, "a=b+c&client_id=id%3A1".to_owned()));
    }
}
