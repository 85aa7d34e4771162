//! `${NAME}` and `${NAME:-default}` in scalar values, quoted or not.
//!
//! The YAML parser's own properties are not used: they leave quoted scalars
//! alone, and stop at the first variable that is missing.

use super::path::Path;
use super::problem::Problem;
use super::tree::{Node, Value};

/// Gives the value of an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in every scalar under `node`; whatever cannot be filled in is
/// reported and left unresolved.
pub(super) fn expand_tree(node: &mut Node, path: &Path, lookup: Lookup<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Null | Value::Unresolved => {}
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand_tree(item, &path.index(index), lookup, problems);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                expand_tree(value, &path.key(&key.text), lookup, problems);
            }
        }
        Value::Scalar(scalar) => match expand(&scalar.text, lookup) {
            Ok(None) => {}
            Ok(Some(text)) => scalar.written = Some(std::mem::replace(&mut scalar.text, text)),
            Err(fault) => {
                problems.push(Problem {
                    position: Some(node.at),
                    path: path.to_string(),
                    message: fault.message,
                    help: fault.help,
                });
                node.value = Value::Unresolved;
            }
        },
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Fault {
    message: String,
    help: Option<String>,
}

/// The filled-in text, or nothing when `text` has no `${`.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, Fault> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        expanded.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let Some(end) = body.find('}') else {
            return Err(malformed("`${` is not closed by `}`"));
        };
        expanded.push_str(&value_of(&body[..end], lookup)?);
        rest = &body[end + 1..];
    }
    expanded.push_str(rest);
    Ok(Some(expanded))
}

fn value_of(reference: &str, lookup: Lookup<'_>) -> Result<String, Fault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable_name(name) || default.is_some_and(|default| default.contains("${")) {
        return Err(malformed("`${…}` holds something else than a variable's name"));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault {
            message: format!("the environment variable {name} is not set"),
            help: Some(format!("set it, or give a default: `${{{name}:-…}}`")),
        }),
    }
}

pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn malformed(what: &str) -> Fault {
    Fault {
        message: what.to_owned(),
        help: Some(
            "write `${NAME}` or `${NAME:-default}`, and `$${` for the characters themselves".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Option<String>, Fault> {
        let lookup = |name: &str| match name {
            "HOST" => Some("example.org".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        expand(text, &lookup)
    }

    #[test]
    fn references_are_filled_in_once() {
        let cases = [
            ("https://${HOST}/mcp", "https://example.org/mcp"),
            ("${HOST}${HOST}", "example.orgexample.org"),
            ("${MISSING:-fallback}", "fallback"),
            ("${EMPTY:-fallback}", "fallback"),
            ("${MISSING:-}", ""),
            ("${EMPTY}", ""),
            ("${NESTED}", "${HOST}"),
            ("$${HOST}", "${HOST}"),
            ("a $${HOST} ${HOST} $", "a ${HOST} example.org $"),
        ];
        for (text, wanted) in cases {
            assert_eq!(expanded(text), Ok(Some(wanted.to_owned())), "{text}");
        }
        for text in ["", "plain", "$HOST", "100$", "{HOST}"] {
            assert_eq!(expanded(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for text in ["${MISSING}", "${", "${HOST", "${}", "${A B}", "${A:?x}", "${1A}", "${MISSING:-${HOST}}"]
        {
            assert!(expanded(text).is_err(), "{text}");
        }
        assert!(expanded("x ${MISSING}").unwrap_err().message.contains("MISSING"));
    }
}
