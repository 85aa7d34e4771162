//! The first words with a server, and which era it speaks: shared by every
//! transport (2026-07-28, basic/versioning; 2025-11-25, basic/lifecycle).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::jsonrpc::{Kind, Message, code, meta};

use super::{Era, Greeting};

/// The modern version that the hub speaks.
pub const MODERN_VERSION: &str = "2026-07-28";
/// The legacy version that the hub asks for.
pub const LEGACY_VERSION: &str = "2025-11-25";
/// Every legacy version that a server may choose instead.
pub const LEGACY_VERSIONS: [&str; 4] = [LEGACY_VERSION, "2025-06-18", "2025-03-26", "2024-11-05"];

/// Longer texts of a server are cut in errors, in characters.
const LONGEST_QUOTE: usize = 400;

/// What the answer to `server/discover` says about the server's era.
#[derive(Debug, Clone)]
pub enum Discovery {
    /// The server speaks the modern era, and this is what it said of itself.
    Modern(Greeting),
    /// The server does not know the modern era: `initialize` comes next.
    Legacy,
    /// The server speaks the modern era and refuses to discover; an
    /// `initialize` would not help.
    Refused(Refusal),
}

/// Why a server did not complete the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The JSON-RPC code of the server's error; none when it gave no error.
    pub code: Option<i64>,
    /// In words, with what the server said.
    pub reason: String,
}

/// `server/discover` with everything that the modern era wants in `_meta`.
pub fn discover(id: u64) -> Bytes {
    let request = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "server/discover",
        "params": {
            "_meta": {
                meta::PROTOCOL_VERSION: MODERN_VERSION,
                meta::CLIENT_CAPABILITIES: {},
                meta::CLIENT_INFO: client_info(),
            },
        },
    });
    Bytes::from(request.to_string())
}

/// `initialize` with the newest legacy version and these client capabilities,
/// as raw JSON.
pub fn initialize(id: u64, capabilities: &str) -> Bytes {
    let capabilities: Option<Box<RawValue>> = serde_json::from_str(capabilities).ok();
    let request = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "initialize",
        "params": {
            "protocolVersion": LEGACY_VERSION,
            "capabilities": capabilities.unwrap_or_default(),
            "clientInfo": client_info(),
        },
    });
    Bytes::from(request.to_string())
}

/// `notifications/initialized`: the end of the legacy handshake.
pub fn initialized() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

/// How the hub names itself to servers.
pub fn client_info() -> Value {
    json!({ "name": "trunkline", "version": env!("CARGO_PKG_VERSION") })
}

/// Reads the answer to [`discover`]. Only what a modern server would say
/// counts as modern; every other answer means legacy.
pub fn read_discover(answer: &Message) -> Discovery {
    match answer.kind() {
        Kind::Result => discovered(answer).map_or(Discovery::Legacy, Discovery::Modern),
        Kind::Error => refused(answer),
        Kind::Request | Kind::Notification => Discovery::Legacy,
    }
}

/// Reads the answer to [`initialize`].
///
/// # Errors
/// [`Refusal`] when it is an error, no `InitializeResult`, or names a version
/// that the hub does not speak.
pub fn read_initialize(answer: &Message) -> Result<Greeting, Refusal> {
    if answer.kind() == Kind::Error {
        return Err(read_error(answer));
    }
    let payload = answer.payload_bytes().unwrap_or_default();
    let result: InitializeResult<'_> = serde_json::from_slice(&payload).map_err(|fault| {
        Refusal::without_code(format!("initialize was answered with no InitializeResult: {fault}"))
    })?;
    if !LEGACY_VERSIONS.contains(&result.protocol_version.as_ref()) {
        let version = quote(&result.protocol_version);
        return Err(Refusal::without_code(format!(
            "the server chose protocol version {version:?}, unknown here"
        )));
    }
    Ok(Greeting {
        era: Era::Legacy,
        protocol_version: result.protocol_version.into_owned(),
        capabilities: object_or_empty(&payload, result.capabilities),
        server_info: object(&payload, result.server_info),
        instructions: string(&payload, result.instructions),
    })
}

/// Reads the error object of an answer.
pub fn read_error(answer: &Message) -> Refusal {
    let error: ErrorObject<'_> = answer
        .payload()
        .and_then(|payload| serde_json::from_str(payload).ok())
        .unwrap_or(ErrorObject { code: None, message: None, data: None });
    let message = error.message.as_deref().map_or("no message".to_owned(), quote);
    let reason = match error.code {
        Some(code) => format!("the server answered with error {code}: {message}"),
        None => format!("the server answered with an error: {message}"),
    };
    Refusal { code: error.code, reason }
}

impl Refusal {
    fn without_code(reason: String) -> Self {
        Self { code: None, reason }
    }
}

fn discovered(answer: &Message) -> Option<Greeting> {
    let payload = answer.payload_bytes()?;
    let result: DiscoverResult<'_> = serde_json::from_slice(&payload).ok()?;
    if !result.supported_versions.iter().any(|version| version == MODERN_VERSION) {
        return None;
    }
    let server_info = result.meta.and_then(|meta| meta.server_info);
    Some(Greeting {
        era: Era::Modern,
        protocol_version: MODERN_VERSION.to_owned(),
        capabilities: object_or_empty(&payload, result.capabilities),
        server_info: object(&payload, server_info),
        instructions: string(&payload, result.instructions),
    })
}

/// A modern server names its versions in -32022; when none of them is ours
/// but older ones are spoken, `initialize` finds them.
fn refused(answer: &Message) -> Discovery {
    let refusal = read_error(answer);
    match refusal.code {
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY) => Discovery::Refused(refusal),
        Some(code::UNSUPPORTED_PROTOCOL_VERSION) if supports_modern(answer) => Discovery::Refused(refusal),
        _ => Discovery::Legacy,
    }
}

fn supports_modern(answer: &Message) -> bool {
    let error: Option<ErrorObject<'_>> =
        answer.payload().and_then(|payload| serde_json::from_str(payload).ok());
    let data = error.and_then(|error| error.data);
    let data: Option<VersionData<'_>> = data.and_then(|data| serde_json::from_str(data.get()).ok());
    data.is_some_and(|data| data.supported.iter().any(|version| version == MODERN_VERSION))
}

/// `text` cut to a length that fits an error.
pub(crate) fn quote(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}

fn object(payload: &Bytes, raw: Option<&RawValue>) -> Option<Bytes> {
    let text = raw?.get();
    text.starts_with('{').then(|| payload.slice_ref(text.as_bytes()))
}

fn object_or_empty(payload: &Bytes, raw: Option<&RawValue>) -> Bytes {
    object(payload, raw).unwrap_or(Bytes::from_static(b"{}"))
}

fn string(payload: &Bytes, raw: Option<&RawValue>) -> Option<Bytes> {
    let text = raw?.get();
    text.starts_with('"').then(|| payload.slice_ref(text.as_bytes()))
}

#[derive(Deserialize)]
struct DiscoverResult<'a> {
    #[serde(rename = "supportedVersions", borrow)]
    supported_versions: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(rename = "_meta", borrow)]
    meta: Option<DiscoverMeta<'a>>,
}

#[derive(Deserialize)]
struct DiscoverMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/serverInfo", borrow)]
    server_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InitializeResult<'a> {
    #[serde(rename = "protocolVersion", borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    #[serde(rename = "serverInfo", borrow)]
    server_info: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    code: Option<i64>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct VersionData<'a> {
    #[serde(borrow, default)]
    supported: Vec<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn error(code: i64, data: &str) -> Message {
        message(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"no","data":{data}}}}}"#
        ))
    }

    #[test]
    fn what_is_sent_parses_and_names_the_versions() {
        let discover = Message::parse(discover(7)).unwrap();
        assert_eq!((discover.method(), discover.numeric_id()), (Some("server/discover"), Some(7)));
        let params: Value = serde_json::from_str(discover.payload().unwrap()).unwrap();
        assert_eq!(params["_meta"][meta::PROTOCOL_VERSION], "2026-07-28");
        assert_eq!(params["_meta"][meta::CLIENT_CAPABILITIES], json!({}));
        assert_eq!(params["_meta"][meta::CLIENT_INFO]["name"], "trunkline");
        let initialize = Message::parse(initialize(8, r#"{"roots":{}}"#)).unwrap();
        let params: Value = serde_json::from_str(initialize.payload().unwrap()).unwrap();
        assert_eq!(params["protocolVersion"], "2025-11-25");
        assert_eq!(params["capabilities"], json!({ "roots": {} }));
        assert_eq!(Message::parse(initialized()).unwrap().kind(), Kind::Notification);
    }

    #[test]
    fn a_discover_result_keeps_the_servers_own_bytes() {
        let answer = message(
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],
               "capabilities":{ "tools" : {},"x/vendor":1.0e2 },"instructions":"a\u0062","ttlMs":0,
               "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s" }}}}"#,
        );
        let Discovery::Modern(greeting) = read_discover(&answer) else { panic!("modern") };
        assert_eq!(greeting.era, Era::Modern);
        assert_eq!(greeting.capabilities, r#"{ "tools" : {},"x/vendor":1.0e2 }"#);
        assert_eq!(greeting.server_info.unwrap(), r#"{"name":"s" }"#);
        assert_eq!(greeting.instructions.unwrap(), r#""a\u0062""#);
    }

    #[test]
    fn only_modern_answers_count_as_modern() {
        let legacy = [
            message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            message(
                r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2025-11-25"],"capabilities":{}}}"#,
            ),
            error(-32601, "null"),
            error(-32000, "null"),
            error(-32022, r#"{"supported":["2025-11-25"],"requested":"2026-07-28"}"#),
            error(-32022, "null"),
        ];
        for answer in legacy {
            assert!(matches!(read_discover(&answer), Discovery::Legacy), "{:?}", answer.payload());
        }
        for answer in [
            error(-32020, "null"),
            error(-32021, r#"{"requiredCapabilities":{}}"#),
            error(-32022, r#"{"supported":["2026-07-28"]}"#),
        ] {
            assert!(matches!(read_discover(&answer), Discovery::Refused(_)), "{:?}", answer.payload());
        }
    }

    #[test]
    fn a_legacy_server_may_choose_an_older_version_and_no_unknown_one() {
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"protocolVersion":"{version}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s"}}}}}}"#
            );
            let greeting = read_initialize(&message(&text)).unwrap();
            assert_eq!((greeting.era, greeting.protocol_version.as_str()), (Era::Legacy, version));
            assert_eq!(greeting.capabilities, r#"{"tools":{}}"#);
            assert!(greeting.instructions.is_none());
        }
        let unknown = message(r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2031-01-01"}}"#);
        assert!(read_initialize(&unknown).unwrap_err().reason.contains("2031-01-01"));
        let refusal = read_initialize(&error(-32022, "null")).unwrap_err();
        assert_eq!(refusal.code, Some(-32022));
        assert!(read_initialize(&message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).is_err());
    }
}
