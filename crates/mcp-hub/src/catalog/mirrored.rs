//! Arguments that a tool wants mirrored in headers (2026-07-28,
//! basic/transports/streamable-http, "custom headers from tool parameters").

use serde_json::Value;

/// The annotation of a property in a tool's `inputSchema`.
const ANNOTATION: &str = "x-mcp-header";

/// One argument and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// `Mcp-Param-` and what the annotation says.
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
            found.push(Mirrored { header: format!("Mcp-Param-{header}"), path: path.clone() });
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

#[cfg(test)]
mod tests {
    use super::*;

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
            [pair("Mcp-Param-Count", "3"), pair("Mcp-Param-Dry", "true"), pair("Mcp-Param-Region", "eu")]
        );
        assert!(of_tool(br#"{"name":"t","inputSchema":{"type":"object"}}"#).is_empty());
    }
}
