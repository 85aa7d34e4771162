//! Arguments that a tool wants mirrored in headers (2026-07-28,
//! basic/transports/streamable-http, "custom headers from tool parameters").

use std::collections::HashSet;

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

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

/// Why a client over HTTP must not show this tool: an annotation that is no
/// header's name, stands twice, or is not on a plain argument.
pub(crate) fn fault(entry: &[u8]) -> Option<String> {
    memchr::memmem::find(entry, ANNOTATION.as_bytes())?;
    let tool: Value = serde_json::from_slice(entry).ok()?;
    survey(tool.get("inputSchema")?, Place::Root, &mut HashSet::new()).err()
}

/// Where a schema stands: only what `properties` alone lead to is an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Argument,
    Elsewhere,
}

fn survey(schema: &Value, place: Place, names: &mut HashSet<String>) -> Result<(), String> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(all) => return all.iter().try_for_each(|one| survey(one, Place::Elsewhere, names)),
        _ => return Ok(()),
    };
    if let Some(name) = members.get(ANNOTATION) {
        validate(name, members, place, names)?;
    }
    for (keyword, value) in members {
        let schemas = match keyword.as_str() {
            "properties" if place != Place::Elsewhere => Place::Argument,
            "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => {
                Place::Elsewhere
            }
            // Values, not schemas.
            "const" | "default" | "enum" | "examples" => continue,
            _ => {
                survey(value, Place::Elsewhere, names)?;
                continue;
            }
        };
        for schema in value.as_object().into_iter().flat_map(Map::values) {
            survey(schema, schemas, names)?;
        }
    }
    Ok(())
}

fn validate(
    name: &Value,
    schema: &Map<String, Value>,
    place: Place,
    names: &mut HashSet<String>,
) -> Result<(), String> {
    let refused = |why: &str| Err(format!("its {ANNOTATION} {name} {why}"));
    if place != Place::Argument {
        return refused("is not on an argument");
    }
    let token = name.as_str().filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
    let Some(token) = token else { return refused("is no name of a header") };
    if !names.insert(token.to_ascii_lowercase()) {
        return refused("stands twice");
    }
    let plain = |kind: &Value| matches!(kind.as_str(), Some("string" | "integer" | "boolean"));
    let is_plain = match schema.get("type") {
        // An argument that may be null has no header then.
        Some(Value::Array(kinds)) => {
            kinds.iter().any(plain) && kinds.iter().all(|kind| plain(kind) || kind == "null")
        }
        kind => kind.is_some_and(plain),
    };
    if is_plain { Ok(()) } else { refused("is on neither a string, an integer nor a boolean") }
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

    fn fault_of(schema: &str) -> Option<String> {
        fault(format!(r#"{{"name":"t","inputSchema":{{"type":"object",{schema}}}}}"#).as_bytes())
    }

    #[test]
    fn tools_with_useless_annotations_are_told_from_others() {
        let annotated = |kind: &str, name: &str| {
            fault_of(&format!(r#""properties":{{"a":{{"type":{kind},"x-mcp-header":{name}}}}}"#))
        };
        for kind in ["\"string\"", "\"integer\"", "\"boolean\"", r#"["string","null"]"#] {
            assert_eq!(annotated(kind, "\"Region-1\""), None, "{kind}");
        }
        for kind in ["\"number\"", "\"object\"", "\"array\"", "\"null\"", r#"["string","array"]"#, "[]", "7"]
        {
            assert!(annotated(kind, "\"Region\"").is_some(), "{kind}");
        }
        for name in ["\"\"", "\"My Region\"", "\"a:b\"", "\"Région\"", "\"a\\tb\"", "7"] {
            assert!(annotated("\"string\"", name).is_some(), "{name}");
        }
    }

    #[test]
    fn annotations_must_be_on_arguments_and_stand_once() {
        let text = r#"{"type":"string","x-mcp-header":"Region"}"#;
        let nested = format!(r#""properties":{{"a":{{"type":"object","properties":{{"b":{text}}}}},"#);
        assert_eq!(fault_of(&format!(r#"{nested}"x-mcp-header":{{"type":"array"}}}}"#)), None);
        let again = text.replace("Region", "region");
        assert!(fault_of(&format!(r#"{nested}"c":{again}}}"#)).is_some_and(|why| why.contains("twice")));
        for elsewhere in [
            format!(r#""properties":{{"a":{{"type":"array","items":{text}}}}}"#),
            format!(r#""$defs":{{"a":{text}}}"#),
            format!(r#""anyOf":[{{"properties":{{"a":{text}}}}}]"#),
            r#""x-mcp-header":"Region""#.to_owned(),
        ] {
            assert!(fault_of(&elsewhere).is_some_and(|why| why.contains("argument")), "{elsewhere}");
        }
        assert_eq!(fault_of(&format!(r#""default":{text}"#)), None, "a value is no schema");
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
