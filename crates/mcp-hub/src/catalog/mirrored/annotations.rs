//! The annotation `x-mcp-header` in a tool's `inputSchema`, and where it may
//! stand (2026-07-28, basic/transports/streamable-http, "schema extension").

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Mirrored, PREFIX};

/// The annotation of a property.
const ANNOTATION: &str = "x-mcp-header";

/// What a tool's entry of the list asks for; nothing for nearly all tools.
///
/// # Errors
/// In words, why the tool must not be shown to clients over HTTP.
pub(crate) fn of_tool(entry: &[u8]) -> Result<Vec<Mirrored>, &'static str> {
    // An escape may spell any letter.
    let may_be_annotated =
        [ANNOTATION.as_bytes(), b"\\u"].into_iter().any(|sign| memchr::memmem::find(entry, sign).is_some());
    if !may_be_annotated {
        return Ok(Vec::new());
    }
    let Ok(tool) = serde_json::from_slice::<Value>(entry) else {
        // What cannot be read here may still be a tool, as long as it asks for nothing.
        let annotated = memchr::memmem::find(entry, ANNOTATION.as_bytes()).is_some();
        return if annotated { Err("the inputSchema cannot be read") } else { Ok(Vec::new()) };
    };
    let Some(Value::Object(schema)) = tool.get("inputSchema") else { return Ok(Vec::new()) };
    let mut found = Found::default();
    if schema.contains_key(ANNOTATION) {
        return Err("the annotation is not at a property");
    }
    found.walk(schema, true)?;
    Ok(found.mirrored)
}

#[derive(Default)]
struct Found {
    path: Vec<String>,
    mirrored: Vec<Mirrored>,
    names: HashSet<String>,
}

impl Found {
    /// Looks at what stands in a schema, which is `reachable` when only
    /// `properties` lead to it.
    fn walk(&mut self, schema: &Map<String, Value>, reachable: bool) -> Result<(), &'static str> {
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => self.properties(properties, reachable)?,
                (
                    "$defs" | "definitions" | "dependentSchemas" | "patternProperties",
                    Value::Object(named),
                ) => {
                    named.values().try_for_each(|schema| self.elsewhere(schema))?;
                }
                // Values, in which it is no annotation.
                ("const" | "default" | "enum" | "examples", _) => {}
                _ => self.elsewhere(value)?,
            }
        }
        Ok(())
    }

    fn properties(&mut self, properties: &Map<String, Value>, reachable: bool) -> Result<(), &'static str> {
        for (name, property) in properties {
            if !reachable {
                self.elsewhere(property)?;
                continue;
            }
            let Value::Object(property) = property else { continue };
            self.path.push(name.clone());
            if let Some(annotation) = property.get(ANNOTATION) {
                self.take(annotation, property)?;
            }
            self.walk(property, true)?;
            self.path.pop();
        }
        Ok(())
    }

    fn take(&mut self, annotation: &Value, property: &Map<String, Value>) -> Result<(), &'static str> {
        let name = annotation.as_str().ok_or("the annotation is no text")?.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("the annotation is no name of a header");
        }
        if !matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
            return Err("the annotation is at a property that is neither string, integer nor boolean");
        }
        if !self.names.insert(name.clone()) {
            return Err("two annotations have the same name");
        }
        self.mirrored.push(Mirrored { header: format!("{PREFIX}{name}"), path: self.path.clone() });
        Ok(())
    }

    /// Where no annotation may stand.
    fn elsewhere(&mut self, value: &Value) -> Result<(), &'static str> {
        match value {
            Value::Object(schema) if schema.contains_key(ANNOTATION) => {
                Err("the annotation is where not only properties lead to")
            }
            Value::Object(schema) => self.walk(schema, false),
            Value::Array(schemas) => schemas.iter().try_for_each(|schema| self.elsewhere(schema)),
            _ => Ok(()),
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &str) -> Result<Vec<Mirrored>, &'static str> {
        of_tool(format!(r#"{{"name":"t","inputSchema":{{"type":"object",{properties}}}}}"#).as_bytes())
    }

    fn headers(properties: &str) -> Vec<String> {
        of(properties).unwrap().into_iter().map(|one| one.header).collect()
    }

    #[test]
    fn annotations_are_found_where_they_may_stand() {
        assert!(of_tool(br#"{"name":"t","inputSchema":{"type":"object"}}"#).unwrap().is_empty());
        let nested =
            r#""properties":{"a":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"B"}}}}"#;
        assert_eq!(headers(nested), ["mcp-param-b"]);
        assert_eq!(
            headers(r#""properties":{"a":{"type":"string","\u0078-mcp-header":"A"}}"#),
            ["mcp-param-a"]
        );
        let named_so = r#""properties":{"x-mcp-header":{"type":"string"}},"required":["x-mcp-header"]"#;
        assert!(headers(named_so).is_empty(), "a property of that name is none");
        let value = r#""properties":{"a":{"type":"object","default":{"x-mcp-header":"A"}}}"#;
        assert!(headers(value).is_empty(), "a value is none");
    }

    #[test]
    fn annotations_that_may_not_be_make_the_tool_invalid() {
        for annotation in [r#""""#, r#""a b""#, r#""é""#, r#""a\r\nX""#, r#""a:b""#, "7", "null", r#"["A"]"#]
        {
            let invalid = format!(r#""properties":{{"a":{{"type":"string","x-mcp-header":{annotation}}}}}"#);
            assert!(of(&invalid).is_err(), "{annotation}");
        }
        for type_of in [r#""number""#, r#""object""#, r#""array""#, r#"["string","null"]"#] {
            let invalid = format!(r#""properties":{{"a":{{"type":{type_of},"x-mcp-header":"A"}}}}"#);
            assert!(of(&invalid).is_err(), "{type_of}");
        }
        assert!(of(r#""x-mcp-header":"A""#).is_err(), "at the root");
        let at = r#"{"type":"string","x-mcp-header":"A"}"#;
        for elsewhere in [
            format!(r#""properties":{{"a":{{"type":"array","items":{at}}}}}"#),
            format!(r#""oneOf":[{{"properties":{{"a":{at}}}}}]"#),
            format!(r#""if":{{"properties":{{"a":{at}}}}}"#),
            format!(r#""$defs":{{"a":{at}}}"#),
            format!(r#""additionalProperties":{at}"#),
            format!(r#""properties":{{"a":{at},"b":{{"type":"string","x-mcp-header":"a"}}}}"#),
            format!(r#""properties":{{"a":{at}}},"x":1e400"#),
        ] {
            assert!(of(&elsewhere).is_err(), "{elsewhere}");
        }
    }
}
