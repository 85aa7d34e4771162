//! The JSON-RPC 2.0 envelope and the words of MCP's `_meta`.

use serde_json::{Map, Value, json};

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
/// Up to revision 2025-11-25; later ones say [`INVALID_PARAMS`].
pub(super) const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;
pub(super) const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
/// Our own: more work at once than the sample server takes.
pub(super) const BUSY: i64 = -31001;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Revisions with `initialize`, newest first.
pub(super) const LEGACY_VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// Revisions with metadata on each request, newest first.
pub(super) const MODERN_VERSIONS: [&str; 1] = ["2026-07-28"];

/// What a client sent on one line.
#[derive(Debug)]
pub(super) enum Incoming {
    Request(Request),
    Notification(Notification),
    /// An answer; the sample server asks nothing, so it belongs to nothing.
    Response,
    /// Something else, with the id to answer with (`null` when there is none).
    Malformed(Value, RpcError),
}

#[derive(Debug)]
pub(super) struct Request {
    /// A string or an integer.
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

#[derive(Debug)]
pub(super) struct Notification {
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// A JSON-RPC error, to be read by a person.
#[derive(Debug, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(super) fn to_message(&self, id: &Value) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(fields)) = (&self.data, error.as_object_mut()) {
            fields.insert("data".to_owned(), data.clone());
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

impl Incoming {
    pub(super) fn parse(line: &[u8]) -> Self {
        let malformed = |id: Value, code, message: &str| Self::Malformed(id, RpcError::new(code, message));
        let value: Value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(fault) => {
                return Self::Malformed(
                    Value::Null,
                    RpcError::new(PARSE_ERROR, format!("not JSON: {fault}")),
                );
            }
        };
        let Value::Object(mut message) = value else {
            return malformed(
                Value::Null,
                INVALID_REQUEST,
                "a message must be one JSON object; batches are not taken",
            );
        };
        let id = message.remove("id");
        let usable_id = id.clone().filter(is_request_id).unwrap_or(Value::Null);
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return malformed(usable_id, INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
        }
        let method = match message.remove("method") {
            Some(Value::String(method)) => method,
            None if message.contains_key("result") || message.contains_key("error") => return Self::Response,
            _ => return malformed(usable_id, INVALID_REQUEST, "\"method\" must be a string"),
        };
        let params = match message.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return malformed(usable_id, INVALID_PARAMS, "\"params\" must be an object"),
        };
        match id {
            None => Self::Notification(Notification { method, params }),
            Some(id) if is_request_id(&id) => Self::Request(Request { id, method, params }),
            Some(_) => malformed(Value::Null, INVALID_REQUEST, "\"id\" must be a string or an integer"),
        }
    }
}

fn is_request_id(id: &Value) -> bool {
    id.is_string() || id.is_i64() || id.is_u64()
}

/// Which era's rules a request is answered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// What a request says besides its subject.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) era: Era,
    pub(super) progress_token: Option<Value>,
    /// The least severe level that the client wants to hear of while this
    /// request runs (revision 2026-07-28).
    pub(super) log_level: Option<Level>,
}

impl Context {
    /// Reads `params._meta`.
    ///
    /// # Errors
    /// Metadata of revision 2026-07-28 that is incomplete or names a revision
    /// that is not served.
    pub(super) fn of(params: &Map<String, Value>) -> Result<Self, RpcError> {
        let meta = params.get("_meta").and_then(Value::as_object);
        let get = |key| meta.and_then(|meta| meta.get(key));
        let era = match get(META_VERSION) {
            None => Era::Legacy,
            Some(Value::String(version)) if MODERN_VERSIONS.contains(&version.as_str()) => Era::Modern,
            Some(version) => return Err(unsupported_version(version)),
        };
        if era == Era::Modern && !get(META_CAPABILITIES).is_some_and(Value::is_object) {
            return Err(RpcError::invalid_params(format!(
                "params._meta must have \"{META_CAPABILITIES}\", an object"
            )));
        }
        Ok(Self {
            era,
            progress_token: get("progressToken").filter(|token| is_request_id(token)).cloned(),
            log_level: get(META_LOG_LEVEL).and_then(Value::as_str).and_then(Level::parse),
        })
    }
}

/// What a modern method answers when its metadata is not there at all.
pub(super) fn missing_metadata() -> RpcError {
    RpcError::invalid_params(format!("params._meta must have \"{META_VERSION}\" and \"{META_CAPABILITIES}\""))
}

fn unsupported_version(requested: &Value) -> RpcError {
    RpcError {
        code: UNSUPPORTED_PROTOCOL_VERSION,
        message: format!("protocol version {requested} is not served"),
        data: Some(json!({ "supported": MODERN_VERSIONS, "requested": requested })),
    }
}

/// Severities of `notifications/message`, as in RFC 5424, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Level {
    const NAMES: [(&'static str, Self); 8] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
        ("alert", Self::Alert),
        ("emergency", Self::Emergency),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }
}
