//! The headers that repeat a message's metadata (revision 2026-07-28,
//! streamable HTTP, standard request headers).

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::envelope::Params;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What of a request of the modern era stands in its headers too.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Modern {
    version: String,
    method: String,
    name: Option<String>,
}

impl Modern {
    /// None when the request's metadata name no version: it belongs to a session then.
    pub(super) fn of(method: &str, params: &Params) -> Option<Self> {
        let version = params.meta.as_ref()?.get(META_VERSION)?.as_str()?;
        let name = match method {
            "tools/call" | "prompts/get" => &params.name,
            "resources/read" => &params.uri,
            "tasks/get" | "tasks/update" | "tasks/cancel" => &params.task_id,
            _ => &None,
        };
        Some(Self {
            version: version.to_owned(),
            method: method.to_owned(),
            name: name.as_ref().and_then(Value::as_str).map(str::to_owned),
        })
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        let parts = [
            (PROTOCOL_VERSION, Some(&self.version)),
            (METHOD, Some(&self.method)),
            (NAME, self.name.as_ref()),
        ];
        for (header, text) in parts {
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(encoded(text)).ok()) {
                headers.insert(header, value);
            }
        }
    }
}

/// `text` as it is when it is safe in a header, otherwise as `=?base64?…?=`.
fn encoded(text: &str) -> String {
    let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let looks_encoded = text.starts_with("=?base64?") && text.ends_with("?=");
    if printable && !looks_encoded && text.trim() == text && !text.is_empty() {
        return text.to_owned();
    }
    format!("=?base64?{}?=", base64::engine::general_purpose::STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers_of(method: &str, params: &Value) -> Vec<(String, String)> {
        let params: Params = serde_json::from_value(params.clone()).unwrap();
        let mut headers = HeaderMap::new();
        Modern::of(method, &params).unwrap().add_to(&mut headers);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn name_of(method: &str, params: &Value) -> Option<String> {
        let mut params = params.clone();
        params["_meta"] = json!({ META_VERSION: "2026-07-28" });
        headers_of(method, &params).into_iter().find(|(name, _)| name == "mcp-name").map(|(_, value)| value)
    }

    #[test]
    fn version_method_and_name_are_repeated() {
        let params = json!({ "name": "echo", "uri": "no", "_meta": { META_VERSION: "2026-07-28" } });
        let expected =
            [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
        assert_eq!(
            headers_of("tools/call", &params),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(name_of("prompts/get", &json!({ "name": "p" })).as_deref(), Some("p"));
        assert_eq!(name_of("resources/read", &json!({ "uri": "a://b" })).as_deref(), Some("a://b"));
        assert_eq!(name_of("tasks/get", &json!({ "taskId": "t" })).as_deref(), Some("t"));
        assert_eq!(name_of("tools/list", &json!({ "name": "echo" })), None);
    }

    #[test]
    fn a_request_without_a_version_in_its_metadata_is_not_modern() {
        assert_eq!(Modern::of("tools/list", &Params::default()), None);
        let params: Params = serde_json::from_value(json!({ "_meta": { "progressToken": 1 } })).unwrap();
        assert_eq!(Modern::of("tools/list", &params), None);
    }

    #[test]
    fn what_is_not_safe_in_a_header_is_encoded() {
        for (name, value) in [
            ("plain name", "plain name"),
            ("grüße", "=?base64?Z3LDvMOfZQ==?="),
            (" padded", "=?base64?IHBhZGRlZA==?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ] {
            assert_eq!(name_of("tools/call", &json!({ "name": name })).as_deref(), Some(value), "{name:?}");
        }
    }
}
