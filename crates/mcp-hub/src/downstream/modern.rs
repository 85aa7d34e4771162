//! What a request of the modern era must say of itself, in its headers and in
//! its body alike (2026-07-28, basic/transports, "request headers").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, StatusCode};

use super::answer::RpcError;
use crate::catalog::mirrored;
use crate::jsonrpc::{Fields, Message, code, may_have_meta, meta, text};
use crate::upstream::handshake::MODERN_VERSION;

pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");
/// What marks a header value that is not plain ASCII: `=?base64?…?=`.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// Whether a version belongs to the modern era: versions are dates.
fn is_modern(version: &str) -> bool {
    version.len() == MODERN_VERSION.len() && version >= MODERN_VERSION
}

/// Whether a request speaks the modern era: it says so in its header or body.
pub(crate) fn speaks_modern(headers: &HeaderMap, message: &Message) -> bool {
    says_modern(headers) || body_version(message).is_some()
}

/// Whether the version header alone says so.
pub(crate) fn says_modern(headers: &HeaderMap) -> bool {
    let mut versions = headers.get_all(VERSION_HEADER).iter();
    versions.any(|version| version.to_str().is_ok_and(is_modern))
}

fn body_version(message: &Message) -> Option<String> {
    let params = message.payload().filter(|params| may_have_meta(params))?;
    let params = Fields::find(params, ["_meta"]).ok()?;
    let members = Fields::find(params.raw(0)?, [meta::PROTOCOL_VERSION]).ok()?;
    members.raw(0).map(|raw| serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
}

/// Checks a request of the modern era.
///
/// # Errors
/// [`RpcError`] with the code and HTTP status that the specification gives.
pub(crate) fn check(headers: &HeaderMap, message: &Message) -> Result<(), RpcError> {
    let params = message.payload().unwrap_or("{}");
    let named = name_member(message);
    let fields = Fields::find(params, ["_meta", named.unwrap_or("name")])
        .map_err(|fault| invalid(&fault.to_string()))?;
    let members = fields.raw(0).ok_or_else(|| invalid("every request needs \"_meta\" in its params"))?;
    check_version(headers, members)?;
    check_method(headers, message)?;
    if let Some(member) = named {
        let body = fields.string(1).map_err(|fault| invalid(&fault.to_string()))?;
        let body = body.ok_or_else(|| invalid(&format!("params need a \"{member}\"")))?;
        let header = one(headers, &NAME_HEADER)?.ok_or_else(|| missing("Mcp-Name"))?;
        check_name(&header, member, &body)?;
    }
    Ok(())
}

/// Checks the headers that a legacy message, or a notification, need not
/// have: where one stands it must be true, since whoever stands between may
/// judge the message by it.
///
/// # Errors
/// [`RpcError`] as for a request of the modern era.
pub(crate) fn check_claims(headers: &HeaderMap, message: &Message) -> Result<(), RpcError> {
    if message.method().is_none() {
        return Ok(());
    }
    if one(headers, &METHOD_HEADER)?.is_some() {
        check_method(headers, message)?;
    }
    let name = one(headers, &NAME_HEADER)?;
    if let (Some(header), Some(member)) = (name, name_member(message))
        // Parameters that cannot be read are refused by their method.
        && let Ok(fields) = Fields::find(message.payload().unwrap_or("{}"), [member])
        && let Ok(Some(body)) = fields.string(0)
    {
        check_name(&header, member, &body)?;
    }
    Ok(())
}

/// The member of the parameters that `Mcp-Name` repeats.
fn name_member(message: &Message) -> Option<&'static str> {
    match message.method()? {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // Of the extension (SEP-2663, "routing headers").
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn check_name(header: &str, member: &str, body: &str) -> Result<(), RpcError> {
    if decoded(header).as_deref() == Some(body) {
        Ok(())
    } else {
        Err(mismatch(&format!("the header Mcp-Name and params.{member} differ")))
    }
}

fn check_version(headers: &HeaderMap, members: &str) -> Result<(), RpcError> {
    let found = Fields::find(members, [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES])
        .map_err(|fault| invalid(&format!("_meta: {fault}")))?;
    let body = found.string(0).map_err(|fault| invalid(&format!("_meta: {fault}")))?;
    let body = body.ok_or_else(|| invalid(&format!("_meta needs {:?}", meta::PROTOCOL_VERSION)))?;
    let header = one(headers, &VERSION_HEADER)?.ok_or_else(|| missing("MCP-Protocol-Version"))?;
    if header != body {
        return Err(mismatch("the header MCP-Protocol-Version and _meta name different versions"));
    }
    if header != MODERN_VERSION {
        return Err(unsupported(&header));
    }
    match found.raw(1) {
        Some(capabilities) if capabilities.starts_with('{') => Ok(()),
        _ => Err(invalid(&format!("_meta needs {:?}, an object", meta::CLIENT_CAPABILITIES))),
    }
}

fn check_method(headers: &HeaderMap, message: &Message) -> Result<(), RpcError> {
    let header = one(headers, &METHOD_HEADER)?.ok_or_else(|| missing("Mcp-Method"))?;
    if Some(header.as_str()) == message.method() {
        Ok(())
    } else {
        Err(mismatch("the header Mcp-Method and the body's method differ"))
    }
}

/// The headers that repeat arguments of a tool, and the name in a message of
/// which the hub does not know what it repeats.
pub(crate) fn param_headers(headers: &HeaderMap, message: &Message) -> HeaderMap {
    let passes_name = name_member(message).is_none();
    let of_params = |name: &HeaderName| {
        name.as_str().starts_with(mirrored::PREFIX) || (passes_name && *name == NAME_HEADER)
    };
    headers
        .iter()
        .filter(|(name, _)| of_params(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A header that may stand once at most.
fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, RpcError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(mismatch(&format!("the header {name} stands twice")));
    }
    match first.map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value.to_owned())),
        Some(Err(_)) => Err(mismatch(&format!("the header {name} is not plain ASCII"))),
    }
}

/// The value that a header stands for; none when it is not what it claims.
pub(crate) fn decoded(header: &str) -> Option<String> {
    match header.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(header.to_owned()),
    }
}

/// The error for a version that is not spoken here. Versions of the legacy era
/// are agreed on by `initialize` alone, and not named.
pub(crate) fn unsupported(requested: &str) -> RpcError {
    RpcError::new(
        code::UNSUPPORTED_PROTOCOL_VERSION,
        format!("protocol version {requested:?} is not spoken here"),
    )
    .status(StatusCode::BAD_REQUEST)
    .data(format!("{{\"supported\":[{}],\"requested\":{}}}", text(MODERN_VERSION), text(requested)))
}

fn invalid(message: &str) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, message).status(StatusCode::BAD_REQUEST)
}

fn missing(header: &str) -> RpcError {
    mismatch(&format!("the header {header} is missing"))
}

pub(crate) fn mismatch(message: &str) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, message).status(StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn request(meta: &str, headers: &[(&'static str, &'static str)]) -> Result<(), i64> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"é","_meta":{meta}}}}}"#
        );
        let message = Message::parse(Bytes::from(body)).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        check(&map, &message).map_err(|error| error.code)
    }

    const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const METHOD: (&str, &str) = ("mcp-method", "tools/call");
    const NAME: (&str, &str) = ("mcp-name", "=?base64?w6k=?=");

    #[test]
    fn headers_and_body_must_agree() {
        assert_eq!(request(META, &[VERSION, METHOD, NAME]), Ok(()));
        assert_eq!(request(META, &[METHOD, NAME]), Err(code::HEADER_MISMATCH));
        assert_eq!(request(META, &[VERSION, NAME]), Err(code::HEADER_MISMATCH));
        assert_eq!(request(META, &[VERSION, METHOD]), Err(code::HEADER_MISMATCH));
        assert_eq!(request(META, &[VERSION, METHOD, ("mcp-name", "e")]), Err(code::HEADER_MISMATCH));
        assert_eq!(request(META, &[VERSION, METHOD, METHOD, NAME]), Err(code::HEADER_MISMATCH));
        assert_eq!(request(META, &[VERSION, ("mcp-method", "tools/list"), NAME]), Err(code::HEADER_MISMATCH));
        assert_eq!(
            request(META, &[("mcp-protocol-version", "2027-01-01"), METHOD, NAME]),
            Err(code::HEADER_MISMATCH)
        );
    }

    #[test]
    fn the_header_of_a_request_about_a_task_repeats_its_id() {
        let ask = |name: &'static str| {
            let params = format!(r#"{{"taskId":"a","_meta":{META}}}"#);
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{params}}}"#);
            let headers = [VERSION, ("mcp-method", "tasks/get"), ("mcp-name", name)];
            let headers =
                headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let message = Message::parse(Bytes::from(body)).unwrap();
            check(&headers.into_iter().collect(), &message).map_err(|error| error.code)
        };
        assert_eq!(ask("a"), Ok(()));
        assert_eq!(ask("b"), Err(code::HEADER_MISMATCH));
    }

    #[test]
    fn a_header_that_need_not_be_there_must_be_true() {
        let claims = |params: &str, headers: &[(&'static str, &'static str)]| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
            let message = Message::parse(Bytes::from(body)).unwrap();
            let map = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            check_claims(&map.collect(), &message).map_err(|error| error.code)
        };
        let lie = Err(code::HEADER_MISMATCH);
        assert_eq!(claims(r#"{"name":"é"}"#, &[]), Ok(()));
        assert_eq!(claims(r#"{"name":"é"}"#, &[METHOD, NAME]), Ok(()));
        assert_eq!(claims(r#"{"name":"e"}"#, &[METHOD, NAME]), lie);
        assert_eq!(claims(r#"{"name":"é"}"#, &[("mcp-method", "tools/list")]), lie);
        assert_eq!(claims(r#"{"name":7}"#, &[METHOD, NAME]), Ok(()), "its method refuses it");
    }

    #[test]
    fn the_body_must_say_its_version_and_capabilities() {
        assert_eq!(request("{}", &[VERSION, METHOD, NAME]), Err(code::INVALID_PARAMS));
        let without = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        assert_eq!(request(without, &[VERSION, METHOD, NAME]), Err(code::INVALID_PARAMS));
        let future = r#"{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#;
        assert_eq!(
            request(future, &[("mcp-protocol-version", "2027-01-01"), METHOD, NAME]),
            Err(code::UNSUPPORTED_PROTOCOL_VERSION)
        );
    }
}
