//! The headers of a request of the modern era against its body.
//!
//! The input is lines `name: value`, an empty line, and the body. What is
//! accepted says in its headers what it says in its body; and what the hub
//! writes into a header, it reads as the same value.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trunkline_mcp_hub::fuzzing::{check_headers, encode_header};
use trunkline_mcp_hub::jsonrpc::{Kind, Message, meta};

const NAME: HeaderName = HeaderName::from_static("mcp-name");

fuzz_target!(|input: &[u8]| {
    let (headers, body) = split(input);
    let Ok(message) = Message::parse(Bytes::copy_from_slice(body)) else { return };
    if !matches!(message.kind(), Kind::Request | Kind::Notification) {
        return;
    }
    let accepted = check_headers(&headers, &message).is_ok();
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    if accepted {
        truthful(&headers, &value);
    }
    for name in [&value["params"]["name"], &value["params"]["uri"]].into_iter().filter_map(Value::as_str) {
        written(name);
    }
});

/// Each header stands once and says what the body says.
fn truthful(headers: &HeaderMap, body: &Value) {
    let version = &body["params"]["_meta"][meta::PROTOCOL_VERSION];
    assert_eq!(the_only(headers, "mcp-protocol-version"), version.as_str());
    assert_eq!(the_only(headers, "mcp-method"), body["method"].as_str());
    let named = match body["method"].as_str() {
        Some("tools/call" | "prompts/get") => &body["params"]["name"],
        Some("resources/read") => &body["params"]["uri"],
        _ => return,
    };
    let header = the_only(headers, "mcp-name").expect("a name is required");
    assert_eq!(Some(meaning(header).as_str()), named.as_str());
}

fn the_only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    assert!(headers.get_all(name).iter().count() <= 1);
    headers.get(name).map(|value| value.to_str().expect("plain ASCII"))
}

/// 2026-07-28, basic/transports/streamable-http, "value encoding".
fn meaning(header: &str) -> String {
    let Some(encoded) = header.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return header.to_owned();
    };
    String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("UTF-8")
}

/// The header that the hub makes of a name is the truth about it.
fn written(name: &str) {
    let header = encode_header(name);
    assert_eq!(meaning(header.to_str().expect("plain ASCII")), name);
    let params = serde_json::json!({
        "name": name,
        "_meta": { meta::PROTOCOL_VERSION: "2026-07-28", meta::CLIENT_CAPABILITIES: {} },
    });
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let message = Message::parse(Bytes::from(body.to_string())).expect("a message");
    let fixed = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")];
    let mut headers: HeaderMap = fixed
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    headers.insert(NAME, header);
    assert_eq!(check_headers(&headers, &message), Ok(()));
}

/// The header lines that HTTP would let through, and the body.
fn split(mut input: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let line = &input[..end];
        input = &input[end + 1..];
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _room = headers.try_append(name, value);
        }
    }
    (headers, input)
}
