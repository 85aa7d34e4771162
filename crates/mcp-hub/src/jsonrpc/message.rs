//! One message and where its parts stand.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// Deeper than any real request; some servers crash beyond a few thousand.
const DEEPEST: usize = 128;

/// Why bytes are not one JSON-RPC message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseFault {
    #[error("the body is not valid UTF-8 JSON: {0}")]
    NotJson(String),
    #[error("the body starts with a byte order mark; send plain UTF-8")]
    ByteOrderMark,
    #[error("JSON-RPC batches are not part of this protocol version; send one message per request")]
    Batch,
    #[error("a message is a JSON object")]
    NotAnObject,
    #[error("the body is nested more than {DEEPEST} levels deep")]
    TooDeep,
    #[error("the member {0:?} stands twice in the message")]
    Twice(&'static str),
    #[error("the member {0:?} differs from a JSON-RPC member only in its case")]
    WrongCase(String),
    #[error("\"jsonrpc\" must be \"2.0\"")]
    Version,
    #[error("\"id\" must be a string or an integer of at most 53 bits")]
    Id,
    #[error("\"method\" must be a non-empty string")]
    Method,
    #[error("\"params\" must be an object")]
    Params,
    #[error("a message has a \"method\", or an \"id\" with a \"result\" or an \"error\"")]
    Shape,
}

impl ParseFault {
    /// The JSON-RPC code (section 5.1): what is no JSON is a parse error, all
    /// else an invalid request.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotJson(_) | Self::ByteOrderMark => super::code::PARSE_ERROR,
            _ => super::code::INVALID_REQUEST,
        }
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Notification,
    /// An answer with a result.
    Result,
    /// An answer with an error.
    Error,
}

/// One message: the bytes as they arrived, and where the parts stand in them.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    kind: Kind,
    id: Option<Range<usize>>,
    method: Option<Box<str>>,
    /// `params`, `result` or `error`, as the kind says.
    payload: Option<Range<usize>>,
}

impl Message {
    /// Reads one message from a caller: strict, because what is forwarded
    /// must be what was checked.
    ///
    /// # Errors
    /// [`ParseFault`] names what is wrong with it.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseFault> {
        if too_deep(&bytes) {
            return Err(ParseFault::TooDeep);
        }
        Self::parse_shallow(bytes)
    }

    /// Reads one message from an upstream server: its depth is the caller's
    /// business, everything else is checked alike.
    ///
    /// # Errors
    /// [`ParseFault`] names what is wrong with it.
    pub fn parse_shallow(bytes: Bytes) -> Result<Self, ParseFault> {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {}
            Some(b'[') => return Err(ParseFault::Batch),
            Some(0xEF) => return Err(ParseFault::ByteOrderMark),
            _ => return Err(not_an_object(&bytes)),
        }
        let wire: Wire<'_> = serde_json::from_slice(&bytes).map_err(|error| fault_of(&error))?;
        if let Some(fault) = wire.fault {
            return Err(fault);
        }
        let (kind, id, method, payload) = wire.classify()?;
        let range = |raw: &str| range_in(&bytes, raw);
        let (id, payload) = (id.map(range), payload.map(range));
        Ok(Self { kind, id, method, payload, bytes })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id as it stands in the message: `7` or `"seven"`, quotes included.
    pub fn id(&self) -> Option<&str> {
        self.id.clone().map(|range| self.slice(range))
    }

    /// The id when it is one of ours: a number.
    pub fn numeric_id(&self) -> Option<u64> {
        self.id()?.parse().ok()
    }

    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// `params` of a request or notification, `result` or `error` of an
    /// answer, as JSON text.
    pub fn payload(&self) -> Option<&str> {
        self.payload.clone().map(|range| self.slice(range))
    }

    /// The payload without copying it.
    pub fn payload_bytes(&self) -> Option<Bytes> {
        self.payload.clone().map(|range| self.bytes.slice(range))
    }

    /// The whole message as it arrived.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn slice(&self, range: Range<usize>) -> &str {
        // The ranges come from a parse of these bytes as UTF-8.
        std::str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    /// The envelope alone: payloads hold what must not reach a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("kind", &self.kind)
            .field("id", &self.id())
            .field("method", &self.method())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

fn range_in(bytes: &Bytes, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
    start..start + part.len()
}

fn not_an_object(bytes: &Bytes) -> ParseFault {
    match serde_json::from_slice::<de::IgnoredAny>(bytes) {
        Ok(_) => ParseFault::NotAnObject,
        Err(error) => fault_of(&error),
    }
}

fn fault_of(error: &serde_json::Error) -> ParseFault {
    // The position is enough; serde_json's text never quotes values.
    ParseFault::NotJson(error.to_string())
}

/// Whether arrays and objects nest deeper than [`DEEPEST`]; strings are skipped.
fn too_deep(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => position = end_of_string(bytes, position),
            _ => {}
        }
        position += 1;
    }
    false
}

/// The position of the quote that closes the string opened at `open`.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut position = open + 1;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', bytes.get(position..).unwrap_or_default()) {
        position += offset;
        if bytes[position] == b'"' {
            return position;
        }
        position += 2;
    }
    bytes.len()
}

/// The members of a message, borrowed, and the first rule they break.
#[derive(Default)]
struct Wire<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    fault: Option<ParseFault>,
}

type Classified<'a> = (Kind, Option<&'a str>, Option<Box<str>>, Option<&'a str>);

impl<'a> Wire<'a> {
    fn classify(self) -> Result<Classified<'a>, ParseFault> {
        if self.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
            return Err(ParseFault::Version);
        }
        let id = self.id.map(RawValue::get);
        if id.is_some_and(|id| !is_id(id)) && !(id == Some("null") && self.error.is_some()) {
            return Err(ParseFault::Id);
        }
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                let params = self.params.map(RawValue::get);
                if params.is_some_and(|params| !params.starts_with('{')) {
                    return Err(ParseFault::Params);
                }
                let kind = if id.is_some() { Kind::Request } else { Kind::Notification };
                Ok((kind, id, Some(method_of(method)?), params))
            }
            (None, Some(result), None) if id.is_some() => Ok((Kind::Result, id, None, Some(result.get()))),
            (None, None, Some(error)) => Ok((Kind::Error, id, None, Some(error.get()))),
            _ => Err(ParseFault::Shape),
        }
    }
}

/// A string, or an integer that every implementation reads alike.
fn is_id(raw: &str) -> bool {
    if raw.starts_with('"') {
        return true;
    }
    raw.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= (1 << 53))
}

fn method_of(raw: &RawValue) -> Result<Box<str>, ParseFault> {
    let method: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| ParseFault::Method)?;
    if method.is_empty() { Err(ParseFault::Method) } else { Ok(method.into()) }
}

impl<'de: 'a, 'a> Deserialize<'de> for Wire<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireVisitor)
    }
}

struct WireVisitor;

impl<'de> Visitor<'de> for WireVisitor {
    type Value = Wire<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire<'de>, A::Error> {
        let mut wire = Wire::default();
        while let Some(Key(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            let (slot, name) = match key.as_ref() {
                "jsonrpc" => (&mut wire.jsonrpc, "jsonrpc"),
                "id" => (&mut wire.id, "id"),
                "method" => (&mut wire.method, "method"),
                "params" => (&mut wire.params, "params"),
                "result" => (&mut wire.result, "result"),
                "error" => (&mut wire.error, "error"),
                other => {
                    if is_member_in_another_case(other) {
                        wire.fault.get_or_insert(ParseFault::WrongCase(other.to_owned()));
                    }
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                wire.fault.get_or_insert(ParseFault::Twice(name));
            }
        }
        Ok(wire)
    }
}

/// Some servers' JSON libraries take `"Method"` for `"method"`: a message
/// that such a server would read otherwise than the hub is refused.
fn is_member_in_another_case(key: &str) -> bool {
    ["jsonrpc", "id", "method", "params", "result", "error"]
        .iter()
        .any(|member| member.eq_ignore_ascii_case(key))
}

/// A key: borrowed where it has no escapes, owned where it has.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }
            fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, ParseFault> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_request_keeps_its_parts_as_they_stand() {
        let message =
            parse(r#" {"jsonrpc":"2.0","id":"a\"b","m\u0065thod":"tools/call","params":{ "x" : 1.0e2 }}"#)
                .unwrap();
        assert_eq!(message.kind(), Kind::Request);
        assert_eq!(message.id(), Some(r#""a\"b""#));
        assert_eq!(message.method(), Some("tools/call"));
        assert_eq!(message.payload(), Some(r#"{ "x" : 1.0e2 }"#));
    }

    #[test]
    fn each_malformed_message_has_its_own_fault() {
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{{\"a\":{}1{}}}}}",
            "[".repeat(200),
            "]".repeat(200)
        );
        let cases: &[(&str, ParseFault)] = &[
            ("[]", ParseFault::Batch),
            ("7", ParseFault::NotAnObject),
            ("\u{feff}{}", ParseFault::ByteOrderMark),
            (r#"{"jsonrpc":"2.0","method":"a","method":"b"}"#, ParseFault::Twice("method")),
            (r#"{"jsonrpc":"2.0","method":"a","m\u0065thod":"b"}"#, ParseFault::Twice("method")),
            (r#"{"jsonrpc":"2.0","method":"a","Method":"b"}"#, ParseFault::WrongCase("Method".into())),
            (r#"{"id":1,"method":"a"}"#, ParseFault::Version),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, ParseFault::Version),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, ParseFault::Id),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, ParseFault::Id),
            (r#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"a"}"#, ParseFault::Id),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"a"}"#, ParseFault::Id),
            (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, ParseFault::Method),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, ParseFault::Method),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, ParseFault::Params),
            (r#"{"jsonrpc":"2.0","id":1}"#, ParseFault::Shape),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, ParseFault::Shape),
            (&deep, ParseFault::TooDeep),
        ];
        for (text, fault) in cases {
            assert_eq!(parse(text).unwrap_err(), *fault, "{text}");
        }
        for text in ["", "{", r#"{"jsonrpc":"2.0"}x"#, r#"{"a":NaN}"#, "{\"a\":\"\u{1}\"}"] {
            assert!(matches!(parse(text), Err(ParseFault::NotJson(_))), "{text}");
        }
    }

    #[test]
    fn an_error_answer_may_have_a_null_id() {
        let message = parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#).unwrap();
        assert_eq!(message.kind(), Kind::Error);
    }

    #[test]
    fn brackets_in_strings_are_not_depth() {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"a":"{}\""}}}}"#, "[".repeat(500));
        assert!(parse(&text).is_ok());
    }
}
