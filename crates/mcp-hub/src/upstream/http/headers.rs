//! The headers of requests to MCP servers (2026-07-28 and 2025-11-25,
//! basic/transports).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use trunkline_model::{HttpEndpoint, ServerAuth};

use crate::upstream::Outgoing;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The headers of every POST to `endpoint`: the configured ones, the
/// credential, and what the transport asks for, each once. What the transport
/// sets wins over a configured header of the same name.
///
/// # Errors
/// The name of a configured header that cannot be sent; never its value.
pub(super) fn base(endpoint: &HttpEndpoint) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(8 + endpoint.headers.len());
    for (name, value) in &endpoint.headers {
        let unusable = |_| format!("the configured header {name:?} cannot be sent");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let value = secret(value.expose()).ok_or_else(|| unusable(String::new()))?;
        headers.append(header, value);
    }
    if let ServerAuth::Bearer(token) = &endpoint.auth {
        let value = secret(&format!("Bearer {}", token.expose()))
            .ok_or("the configured token has characters that a header cannot carry")?;
        headers.insert(AUTHORIZATION, value);
    }
    for name in [SESSION_ID, PROTOCOL_VERSION, METHOD, NAME, LAST_EVENT_ID] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON_OR_EVENT_STREAM);
    Ok(headers)
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Adds what a modern server checks against the body (2026-07-28,
/// basic/transports/streamable-http, "standard headers").
pub(super) fn mirror(headers: &mut HeaderMap, outgoing: &Outgoing) {
    mirror_method(headers, &outgoing.method);
    if let Some(name) = &outgoing.name {
        headers.insert(NAME, encode(name));
    }
    for (name, value) in &outgoing.param_headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, encode(value));
        }
    }
}

pub(super) fn mirror_method(headers: &mut HeaderMap, method: &str) {
    let value = match method {
        "tools/call" => HeaderValue::from_static("tools/call"),
        "tools/list" => HeaderValue::from_static("tools/list"),
        other => encode(other),
    };
    headers.insert(METHOD, value);
}

/// A value as a header carries it: as it stands where it is printable ASCII,
/// else `=?base64?…?=` over its UTF-8.
pub(crate) fn encode(value: &str) -> HeaderValue {
    let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let trimmed = value.trim_matches(' ').len() == value.len();
    let looks_encoded = value.starts_with("=?base64?") && value.ends_with("?=");
    if printable
        && trimmed
        && !looks_encoded
        && let Ok(plain) = HeaderValue::from_str(value)
    {
        return plain;
    }
    let encoded = format!("=?base64?{}?=", STANDARD.encode(value));
    HeaderValue::from_str(&encoded).unwrap_or(HeaderValue::from_static("=?base64??="))
}

#[cfg(test)]
mod tests {
    use trunkline_model::{HttpTransport, Secret};

    use super::*;

    #[test]
    fn a_value_is_encoded_only_when_a_header_cannot_carry_it() {
        for plain in ["create_issue", "a b", "file:///x?y=%20", "=?base64?", ""] {
            assert_eq!(encode(plain), plain, "{plain}");
        }
        assert_eq!(encode("größe"), "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(encode(" a"), "=?base64?IGE=?=");
        assert_eq!(encode("a\r\nEvil: 1"), "=?base64?YQ0KRXZpbDogMQ==?=");
        assert_eq!(encode("=?base64?YQ==?="), "=?base64?PT9iYXNlNjQ/WVE9PT89?=");
    }

    #[test]
    fn the_transport_wins_over_the_configuration_and_each_header_stands_once() {
        let headers = base(&HttpEndpoint {
            url: String::new(),
            transport: HttpTransport::Auto,
            headers: [
                ("accept", "*/*"),
                ("Mcp-Session-Id", "x"),
                ("authorization", "Basic eA=="),
                ("x-a", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .into(),
            auth: ServerAuth::Bearer(Secret::new("token")),
        })
        .unwrap();
        let mut seen: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                ("accept", "application/json, text/event-stream"),
                ("authorization", "Bearer token"),
                ("content-type", "application/json"),
                ("x-a", "1"),
            ]
        );
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let error = base(&HttpEndpoint {
            url: String::new(),
            transport: HttpTransport::Auto,
            headers: vec![("x-key".to_owned(), Secret::new("hunter2\n"))],
            auth: ServerAuth::None,
        })
        .unwrap_err();
        assert!(error.contains("x-key") && !error.contains("hunter2"), "{error}");
    }
}
