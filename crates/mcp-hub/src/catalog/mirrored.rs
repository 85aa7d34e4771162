//! Arguments that a tool wants mirrored in headers (2026-07-28,
//! basic/transports/streamable-http, "custom headers from tool parameters").

use http::HeaderMap;
use serde_json::Value;

use crate::downstream::modern::decoded;

/// The annotation of a property in a tool's `inputSchema`.
const ANNOTATION: &str = "x-mcp-header";
/// What the names of such headers begin with.
pub(crate) const PREFIX: &str = "mcp-param-";

/// One argument and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// [`PREFIX`] and what the annotation says, in lower case.
    pub header: String,
    /// The properties that lead to the argument.
    path: Vec<String>,
}

/// What a tool's entry of the list asks for; nothing for nearly all tools.
pub(crate) fn of_tool(entry: &[u8]) -> Vec<Mirrored> {
    let mut found = Vec::new();
    if memchr::memmem::find(entry, ANNOTATION.as_bytes()).is_some()
        && let Ok(tool) = serde_json::from_slice::<Value>(entry)
        && let Some(schema) = tool.get("inputSchema")
    {
        collect(schema, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get(ANNOTATION).and_then(Value::as_str) {
            found.push(Mirrored {
                header: format!("{PREFIX}{}", header.to_ascii_lowercase()),
                path: path.clone(),
            });
        }
        collect(property, path, found);
        path.pop();
    }
}

/// The headers for these arguments, raw JSON; an argument that is absent,
/// null or neither text, integer nor boolean has none.
pub(crate) fn headers(mirrored: &[Mirrored], arguments: Option<&str>) -> Vec<(String, String)> {
    if mirrored.is_empty() {
        return Vec::new();
    }
    let arguments: Value = arguments.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let value_at = |path: &[String]| path.iter().try_fold(&arguments, |value, name| value.get(name));
    mirrored
        .iter()
        .filter_map(|one| {
            let text = match value_at(&one.path)? {
                Value::String(text) => text.clone(),
                Value::Bool(flag) => flag.to_string(),
                Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
                _ => return None,
            };
            Some((one.header.clone(), text))
        })
        .collect()
}

/// Whether a client's headers say what its arguments say.
///
/// # Errors
/// In words, which header does not.
pub(crate) fn check(mirrored: &[Mirrored], arguments: Option<&str>, sent: &HeaderMap) -> Result<(), String> {
    let expected = headers(mirrored, arguments);
    for Mirrored { header, .. } in mirrored {
        let mut values = sent.get_all(header).iter();
        let (value, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(format!("the header {header} stands twice"));
        }
        let wanted = expected.iter().find(|(name, _)| name == header).map(|(_, text)| text.as_str());
        let said = value.map(|value| value.to_str().ok().and_then(decoded));
        match (wanted, said) {
            (None, None) => {}
            (Some(wanted), Some(Some(said))) if is_same(wanted, &said) => {}
            (Some(_), None) => return Err(format!("the header {header} is missing")),
            _ => return Err(format!("the header {header} and the argument that it repeats differ")),
        }
    }
    Ok(())
}

/// Integers are compared as numbers, all else letter by letter.
fn is_same(wanted: &str, said: &str) -> bool {
    let numbers = (wanted.parse::<i128>(), said.parse::<i128>());
    wanted == said || matches!(numbers, (Ok(wanted), Ok(said)) if wanted == said)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn headers_must_say_what_the_arguments_say() {
        let entry = br#"{"name":"t","inputSchema":{"properties":{
            "region":{"type":"string","x-mcp-header":"Region"},"count":{"type":"integer","x-mcp-header":"Count"}}}}"#;
        let mirrored = of_tool(entry);
        let checked = |arguments: &str, sent: &[(&'static str, &'static str)]| {
            let sent = sent
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            check(&mirrored, Some(arguments), &sent.collect()).is_ok()
        };
        let (region, count) = (("mcp-param-region", "eu"), ("mcp-param-count", "+3"));
        assert!(checked(r#"{"region":"eu","count":3}"#, &[region, count]));
        assert!(checked(r#"{"region":"ü"}"#, &[("mcp-param-region", "=?base64?w7w=?=")]));
        assert!(checked(r#"{"region":null}"#, &[]));
        assert!(!checked(r#"{"region":"eu"}"#, &[]), "missing");
        assert!(!checked(r#"{"region":"us"}"#, &[region]));
        assert!(!checked("{}", &[region]), "repeats nothing");
        assert!(!checked(r#"{"region":"eu"}"#, &[("mcp-param-region", "=?base64?w7w?=")]), "bad padding");
    }

    #[test]
    fn annotated_arguments_are_mirrored() {
        let entry = br#"{"name":"t","inputSchema":{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "options":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry"}}},
            "count":{"type":"integer","x-mcp-header":"Count"},
            "gone":{"type":"string","x-mcp-header":"Gone"}}}}"#;
        let mirrored = of_tool(entry);
        let arguments = r#"{"region":"eu","options":{"dry":true},"count":3,"gone":null}"#;
        let mut headers = headers(&mirrored, Some(arguments));
        headers.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers,
            [pair("mcp-param-count", "3"), pair("mcp-param-dry", "true"), pair("mcp-param-region", "eu")]
        );
        assert!(of_tool(br#"{"name":"t","inputSchema":{"type":"object"}}"#).is_empty());
    }
}
