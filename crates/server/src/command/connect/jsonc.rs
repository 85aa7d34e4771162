//! Puts one value into JSON with comments, and leaves every other byte of the
//! text as it is.

use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use jsonc_parser::errors::ParseError;
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde_json::Value;
use thiserror::Error;

/// Why a text cannot be edited.
#[derive(Debug, Error)]
pub(crate) enum JsoncError {
    #[error("it is not JSON that can be edited safely: {0}")]
    Syntax(#[from] ParseError),
    #[error("{0} is there, but it is not an object")]
    NotAnObject(String),
    #[error("{0:?} stands in it twice, and clients differ on which one counts")]
    Twice(String),
    #[error("the edit would have changed more than it should")]
    Inexact,
}

/// What is taken for JSON: comments and trailing commas, and nothing looser.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// The whole text as a value; a text of blanks and comments is an empty object.
pub(crate) fn parse(text: &str) -> Result<Value, JsoncError> {
    let value: Value = parse_to_serde_value(without_mark(text), &options())?;
    Ok(if value.is_null() { Value::Object(serde_json::Map::new()) } else { value })
}

/// The text with `value` at `path`, in the place of what stood there; objects
/// on the way are made where they are missing.
///
/// # Errors
/// The text is not JSON, or what stands on the way is not an object.
pub(crate) fn put(text: &str, path: &[&str], value: &Value) -> Result<String, JsoncError> {
    let body = without_mark(text);
    let mark = text.strip_suffix(body).unwrap_or_default();
    let mut expected = parse(body)?;
    let root = CstRootNode::parse(body, &options())?;
    let Some((name, way)) = path.split_last() else { return Err(JsoncError::Inexact) };
    let top = "the outermost value".to_owned();
    let mut object = root.object_value_or_create().ok_or(JsoncError::NotAnObject(top))?;
    for key in way {
        check_once(&object, key)?;
        object =
            object.object_value_or_create(key).ok_or_else(|| JsoncError::NotAnObject(format!("{key:?}")))?;
    }
    check_once(&object, name)?;
    if get(&expected, path) == Some(value) {
        return Ok(text.to_owned());
    }
    match object.get(name) {
        Some(property) => property.set_value(input(value)),
        None => {
            object.append(name, input(value));
        }
    }
    let after = root.to_string();
    set(&mut expected, path, value);
    if parse(&after)? != expected {
        return Err(JsoncError::Inexact);
    }
    Ok(format!("{mark}{after}"))
}

/// What stands at `path`.
pub(crate) fn get<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |place, key| place.get(*key))
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn check_once(object: &CstObject, name: &str) -> Result<(), JsoncError> {
    let same =
        object.properties().into_iter().filter(|property| property.decoded_name().as_deref() == Some(name));
    if same.count() > 1 { Err(JsoncError::Twice(name.to_owned())) } else { Ok(()) }
}

fn set(tree: &mut Value, path: &[&str], value: &Value) {
    let mut place = tree;
    for key in path {
        if place.get(*key).is_none()
            && let Some(fields) = place.as_object_mut()
        {
            fields.insert((*key).to_owned(), Value::Object(serde_json::Map::new()));
        }
        match place.get_mut(*key) {
            Some(inner) => place = inner,
            None => return,
        }
    }
    *place = value.clone();
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(flag) => CstInputValue::Bool(*flag),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(key, value)| (key.clone(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_text_becomes_an_object() {
        for text in ["", " \n", "{}", "// nothing yet\n"] {
            let after = put(text, &["mcpServers", "hub"], &json!({ "url": "u" })).unwrap();
            assert_eq!(
                parse(&after).unwrap(),
                json!({ "mcpServers": { "hub": { "url": "u" } } }),
                "{text:?}"
            );
            assert!(after.starts_with(text.trim_end().trim_end_matches("{}")));
        }
    }

    #[test]
    fn strict_json_stays_strict_and_a_trailing_comma_is_no_obstacle() {
        let strict = put("{\n  \"a\": 1\n}\n", &["b"], &json!({ "c": [] })).unwrap();
        assert_eq!(strict, "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": []\n  }\n}\n");
        assert!(serde_json::from_str::<Value>(&strict).is_ok());
        let loose = put("{\n  \"a\": 1, // one\n}\n", &["b"], &json!(2)).unwrap();
        assert!(loose.starts_with("{\n  \"a\": 1, // one\n  \"b\": 2"), "{loose}");
    }

    #[test]
    fn windows_line_ends_and_byte_order_mark_are_kept() {
        let after = put("\u{feff}{\r\n\t\"a\": 1\r\n}\r\n", &["b"], &json!({ "c": 1 })).unwrap();
        assert_eq!(after, "\u{feff}{\r\n\t\"a\": 1,\r\n\t\"b\": {\r\n\t\t\"c\": 1\r\n\t}\r\n}\r\n");
    }

    #[test]
    fn quotes_in_names_and_values_are_escaped() {
        let after = put("{}", &["a\"b"], &json!("c\\d\"e\n")).unwrap();
        assert_eq!(parse(&after).unwrap(), json!({ "a\"b": "c\\d\"e\n" }));
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        let value = json!(1);
        for text in [
            "{",
            "[]",
            "{ a: 1 }",
            "{\"m\": []}",
            "{\"m\": {}, \"m\": {}}",
            "{\"m\": {\"x\":1,\"x\":2}}",
            "{} {}",
        ] {
            assert!(put(text, &["m", "x"], &value).is_err(), "{text}");
        }
    }
}
