//! Headers that repeat arguments of a tool, against the arguments.
//!
//! The input is a tool's entry of the list on one line, the arguments of a
//! call on the next, and header lines `name: value`. The headers that the hub
//! makes are the truth; headers that it takes from a client say what every
//! reader of the arguments reads.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trunkline_mcp_hub::fuzzing::{Mirrored, encode_header};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let (Some(entry), Some(arguments)) = (lines.next(), lines.next()) else { return };
    let Some(mirrored) = Mirrored::of_tool(entry) else { return };
    let names = mirrored.names();
    for (index, name) in names.iter().enumerate() {
        assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name} can be sent");
        assert!(!names[..index].contains(name), "{name} stands once");
    }
    let Ok(arguments) = std::str::from_utf8(arguments) else { return };
    if serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_err() {
        return;
    }
    let arguments = arguments.trim_matches([' ', '\t', '\r']);
    let sent: HeaderMap = lines.filter_map(header).collect();
    let made = mirrored.headers(arguments);
    let accepted = mirrored.check(arguments, &sent);
    let Some(made) = made else {
        assert!(!accepted, "what can be read in two ways is not taken");
        return;
    };
    let own = made.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).expect("a name"), encode_header(value))
    });
    assert!(mirrored.check(arguments, &own.collect()), "the hub's own headers are true");
    if accepted {
        truthful(&names, &made, &sent);
    }
    if let (Ok(entry), Ok(arguments)) = (serde_json::from_slice(entry), serde_json::from_str(arguments)) {
        complete(&entry, &arguments, &made);
    }
});

/// Each header stands where it has something to repeat, and there alone.
fn truthful(names: &[&str], made: &[(String, String)], sent: &HeaderMap) {
    for name in names {
        let mut values = sent.get_all(*name).iter();
        let (value, second) = (values.next(), values.next());
        assert!(second.is_none(), "{name} stands twice");
        let made = made.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
        let said = value.map(|value| meaning(value.to_str().expect("plain ASCII")));
        match (made, said) {
            (None, None) => {}
            (Some(made), Some(said)) => {
                let numbers = (made.parse::<f64>(), said.parse::<f64>());
                let same = matches!(numbers, (Ok(one), Ok(other)) if one == other);
                assert!(made == said || same, "{name}: {made} and {said}");
            }
            differing => panic!("{name}: {differing:?}"),
        }
    }
}

/// 2026-07-28, basic/transports/streamable-http, "value encoding".
fn meaning(header: &str) -> String {
    let Some(encoded) = header.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return header.to_owned();
    };
    String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("UTF-8")
}

/// Every text and flag at a path of `properties` is repeated, letter by letter.
fn complete(entry: &Value, arguments: &Value, made: &[(String, String)]) {
    let mut open = vec![(&entry["inputSchema"], arguments)];
    while let Some((schema, value)) = open.pop() {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let Some(value) = value.get(name) else { continue };
            open.push((property, value));
            let Some(annotation) = property["x-mcp-header"].as_str() else { continue };
            let header = format!("mcp-param-{}", annotation.to_ascii_lowercase());
            let found = made.iter().find(|(of, _)| *of == header).map(|(_, said)| said.as_str());
            match value {
                Value::String(text) => assert_eq!(found, Some(text.as_str()), "{header}"),
                Value::Bool(flag) => assert_eq!(found, Some(if *flag { "true" } else { "false" })),
                Value::Number(number) => {
                    let said: f64 = found.expect("a number").parse().expect("a number");
                    let number = number.as_f64().expect("a number");
                    // serde_json rounds long numbers its own way.
                    assert!((said - number).abs() <= number.abs() * 1e-14, "{said} is not {number}");
                }
                Value::Null | Value::Array(_) | Value::Object(_) => assert_eq!(found, None, "{header}"),
            }
        }
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}
