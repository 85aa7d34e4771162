//! A JSON-RPC message, and members of its parameters, against `serde_json`.
//!
//! What the hub accepts is JSON; its parts stand where it says and say what
//! another reader takes them for; and changing a part changes nothing else.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use trunkline_mcp_hub::jsonrpc::{Fields, Kind, Message, may_have_meta, splice, text};

/// As deep as the hub lets a caller nest.
const DEEPEST: usize = 128;

const KEYS: [&str; 4] = ["name", "uri", "arguments", "_meta"];
/// The place of `_meta` among them.
const META: usize = 3;

fuzz_target!(|input: &[u8]| {
    let bytes = Bytes::copy_from_slice(input);
    let Ok(message) = Message::parse(bytes.clone()) else { return };
    let whole = std::str::from_utf8(input).expect("what is accepted is UTF-8");
    serde_json::from_str::<&RawValue>(whole).expect("what is accepted is JSON");
    assert!(depth(whole) <= DEEPEST);
    let upstream = Message::parse_shallow(bytes).expect("what a caller may say, a server may");
    assert_eq!((upstream.kind(), upstream.id()), (message.kind(), message.id()));

    parts(&message, whole);
    if let (Kind::Request | Kind::Notification, Some(params)) = (message.kind(), message.payload()) {
        members(params);
    }
});

/// Each part is a slice of the whole and JSON of its own.
fn parts(message: &Message, whole: &str) {
    for part in [message.id(), message.payload()].into_iter().flatten() {
        assert!(message.bytes().as_ptr_range().contains(&part.as_ptr()));
        serde_json::from_str::<&RawValue>(part).expect("a part is JSON");
    }
    assert_eq!(message.payload().map(str::as_bytes), message.payload_bytes().as_deref());
    // It reads no lone surrogates and no endless numbers; those are somebody else's affair.
    let Ok(value) = serde_json::from_str::<Value>(whole) else { return };
    let member = match message.kind() {
        Kind::Request | Kind::Notification => "params",
        Kind::Result => "result",
        Kind::Error => "error",
    };
    assert_eq!(read(message.id()), value.get("id").cloned());
    assert_eq!(read(message.payload()), value.get(member).cloned());
    assert_eq!(message.method(), value.get("method").and_then(Value::as_str));
    assert_eq!(value["jsonrpc"], "2.0");
    another_id(message, whole, value);
}

/// As the hub does on the way to a server.
fn another_id(message: &Message, whole: &str, mut value: Value) {
    let Some(id) = message.id() else { return };
    let start = id.as_ptr() as usize - message.bytes().as_ptr() as usize;
    let spliced = splice(whole, &[(start..start + id.len(), "4711")]);
    let again = Message::parse(Bytes::from(spliced.clone())).expect("a message with another id");
    assert_eq!((again.numeric_id(), again.kind()), (Some(4711), message.kind()));
    assert_eq!((again.method(), again.payload()), (message.method(), message.payload()));
    value["id"] = 4711.into();
    assert_eq!(read(Some(&spliced)), Some(value));
}

/// Members are found where they stand, and can be replaced.
fn members(params: &str) {
    let Ok(fields) = Fields::find(params, KEYS) else { return };
    assert!(fields.raw(META).is_none() || may_have_meta(params), "what is there is suspected");
    for (index, key) in KEYS.into_iter().enumerate() {
        assert_eq!(fields.range(index).map(|range| &params[range]), fields.raw(index));
        let Ok(mut value) = serde_json::from_str::<Value>(params) else { continue };
        assert_eq!(read(fields.raw(index)), value.get(key).cloned());
        if let Ok(string) = fields.string(index) {
            assert_eq!(string.as_deref(), value.get(key).and_then(Value::as_str));
            let written = string.as_deref().map(text);
            assert_eq!(written, value.get(key).map(Value::to_string));
        }
        let Some(range) = fields.range(index) else { continue };
        let new = "server__\"\u{1f980}";
        let spliced = splice(params, &[(range, &text(new))]);
        value[key] = new.into();
        assert_eq!(read(Some(&spliced)), Some(value));
    }
}

fn read(part: Option<&str>) -> Option<Value> {
    part.map(|part| serde_json::from_str(part).expect("a part of what was read"))
}

/// How deep arrays and objects nest in JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for character in json.chars() {
        match (in_string, escaped, character) {
            (true, true, _) => escaped = false,
            (true, false, '\\') => escaped = true,
            (_, _, '"') => in_string = !in_string,
            (false, _, '[' | '{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, _, ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    deepest
}
