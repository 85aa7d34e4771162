//! Lets a server with a pinned era answer the other era as a server does that
//! never heard of it. The library's service knows both, and would be polite.

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use crate::era::Eras;

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const SESSION: &str = "mcp-session-id";

/// The keys of `_meta` that only the modern era knows begin so.
const MODERN_KEYS: &str = "io.modelcontextprotocol/";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// As much as the service reads.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// The layer.
pub(super) async fn keep(State(eras): State<Eras>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match judge(eras, &parts.headers, body) {
        Verdict::Pass(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Verdict::Answer(status, Some(message)) => (status, Json(message)).into_response(),
        Verdict::Answer(status, None) => status.into_response(),
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    /// On to the service.
    Pass(Bytes),
    Answer(StatusCode, Option<Value>),
}

fn judge(eras: Eras, headers: &HeaderMap, body: Bytes) -> Verdict {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return Verdict::Pass(body);
    };
    match eras {
        Eras::Legacy => as_legacy(headers, message),
        Eras::Modern if is_legacy_initialize(&message) => refuse_initialize(&message),
        Eras::Modern | Eras::Both if is_bare_notification(headers, &message) => {
            Verdict::Answer(StatusCode::ACCEPTED, None)
        }
        Eras::Modern | Eras::Both => Verdict::Pass(body),
    }
}

/// As the servers of before 2026-07-28 do: no session, no service; and what `_meta` says in keys of a later
/// revision is not read.
fn as_legacy(headers: &HeaderMap, mut message: Value) -> Verdict {
    if let Some(version) = header(headers, VERSION)
        && !Eras::Legacy.versions().iter().any(|known| known.as_str() == version)
    {
        return bad_request(&format!("Bad Request: Unsupported protocol version: {version}"));
    }
    let method = message["method"].as_str();
    if method.is_some_and(|method| method != "initialize") && header(headers, SESSION).is_none() {
        return bad_request("Bad Request: Server not initialized");
    }
    if method == Some("server/discover") {
        let error = json!({ "code": -32601, "message": "Method not found" });
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
        return Verdict::Answer(StatusCode::OK, Some(answer));
    }
    if let Some(meta) = message.pointer_mut("/params/_meta").and_then(Value::as_object_mut) {
        meta.retain(|key, _| !key.starts_with(MODERN_KEYS));
    }
    Verdict::Pass(message.to_string().into())
}

fn bad_request(reason: &str) -> Verdict {
    let error = json!({ "code": -32000, "message": reason });
    let answer = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    Verdict::Answer(StatusCode::BAD_REQUEST, Some(answer))
}

/// One that carries the `_meta` of the modern era is just an unknown method there, and the service says so.
fn is_legacy_initialize(message: &Value) -> bool {
    message["method"] == "initialize" && message["params"]["_meta"][META_VERSION].is_null()
}

/// MCP 2026-07-28, Backward Compatibility: the error names the versions that the server has.
fn refuse_initialize(message: &Value) -> Verdict {
    let requested = message["params"]["protocolVersion"].as_str().unwrap_or_default();
    let error = json!({
        "code": -32022,
        "message": "Unsupported protocol version",
        "data": { "supported": Eras::Modern.versions(), "requested": requested },
    });
    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
    Verdict::Answer(StatusCode::BAD_REQUEST, Some(answer))
}

/// A notification of the modern era without `Mcp-Method`. The specification does not ask for the header there, and
/// clients leave it out; the service would refuse it.
fn is_bare_notification(headers: &HeaderMap, message: &Value) -> bool {
    let modern =
        header(headers, VERSION).is_some_and(|version| version >= ProtocolVersion::V_2026_07_28.as_str());
    modern
        && message["method"].is_string()
        && message.get("id").is_none()
        && header(headers, METHOD).is_none()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        let entry = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        entries.iter().map(entry).collect()
    }

    fn judged(eras: Eras, entries: &[(&'static str, &'static str)], message: &Value) -> Verdict {
        judge(eras, &headers(entries), message.to_string().into())
    }

    fn discover() -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": { META_VERSION: "2026-07-28" } } })
    }

    fn initialize() -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "protocolVersion": "2025-11-25" } })
    }

    #[test]
    fn a_legacy_server_refuses_what_comes_before_initialize() {
        let Verdict::Answer(status, Some(answer)) = judged(Eras::Legacy, &[], &discover()) else {
            panic!("it was let through");
        };
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32000), &Value::Null));
    }

    #[test]
    fn a_legacy_server_does_not_know_the_version_of_2026() {
        let verdict = judged(Eras::Legacy, &[(VERSION, "2026-07-28"), (SESSION, "s")], &discover());
        assert!(matches!(verdict, Verdict::Answer(StatusCode::BAD_REQUEST, Some(_))));
    }

    #[test]
    fn a_legacy_server_does_not_read_modern_metadata() {
        let message = json!({ "id": 2, "method": "ping", "params": { "_meta": { META_VERSION: "2026-07-28", "mine": 1 } } });
        let Verdict::Pass(body) = judged(Eras::Legacy, &[(SESSION, "s")], &message) else {
            panic!("it was refused");
        };
        let passed: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(passed["params"]["_meta"], json!({ "mine": 1 }));
    }

    #[test]
    fn a_modern_server_names_its_versions_to_who_initializes() {
        let Verdict::Answer(status, Some(answer)) = judged(Eras::Modern, &[], &initialize()) else {
            panic!("it was let through");
        };
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
        assert_eq!(answer["id"], 1);
    }

    #[test]
    fn a_server_of_both_eras_lets_both_through() {
        for message in [discover(), initialize()] {
            assert!(matches!(judged(Eras::Both, &[], &message), Verdict::Pass(_)));
        }
    }

    #[test]
    fn a_modern_notification_needs_no_header() {
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
        let verdict = judged(Eras::Both, &[(VERSION, "2026-07-28")], &message);
        assert_eq!(verdict, Verdict::Answer(StatusCode::ACCEPTED, None));
    }
}
