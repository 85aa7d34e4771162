//! Writes values as the YAML that a person would write.

use serde_json::{Map, Value};

/// Columns that a nested level is set in.
pub(super) const STEP: usize = 2;

/// Words that YAML 1.1 or 1.2 does not read as texts.
const RESERVED: [&str; 12] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];

/// The entries of a mapping, one below the other, each line set in by `indent` blanks.
pub(super) fn entries(mapping: &Map<String, Value>, indent: usize) -> String {
    let mut lines = String::new();
    for (key, value) in mapping {
        lines.extend(std::iter::repeat_n(' ', indent));
        lines.push_str(&scalar(key));
        match value {
            Value::Object(inner) if !inner.is_empty() && !is_short(inner) => {
                lines.push_str(":\n");
                lines.push_str(&entries(inner, indent + STEP));
            }
            _ => lines.extend([": ", &flow(value), "\n"]),
        }
    }
    lines
}

/// What reads better on one line: one level of a few short words.
fn is_short(mapping: &Map<String, Value>) -> bool {
    let lists_only = mapping.values().all(Value::is_array);
    lists_only && flow(&Value::Object(mapping.clone())).len() <= 60
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text, in quotes unless nobody can take it for something else. JSON's
/// quoted strings are YAML's too (YAML 1.2 section 7.3.1).
fn scalar(text: &str) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || "_./-".contains(character);
    let starts_as_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let reserved = RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts_as_word && text.chars().all(legal) && !reserved {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for character in Value::String(text.to_owned()).to_string().chars() {
        // JSON leaves some characters as they are that YAML does not (section 5.1).
        if character.is_control() || character == '\u{feff}' {
            quoted.extend(["\\u", &format!("{:04x}", u32::from(character))]);
        } else {
            quoted.push(character);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let awkward = json!({
            "plain": "npx", "y": "no", "number": "3000", "path": "/srv/a b", "dash": "-y", "at": "@a/b", "empty": "",
            "colon": "a: b", "hash": "a #b", "quote": "\"'\\\n\t\u{7f}\u{85}\u{feff}é😀", "star": "*a", "brace": "${X}{", "null": "~",
            "list": ["a", "[", "1.5", "x,y"], "nothing": {}, "date": "2026-01-01", "exp": "1e3", "hex": "0x1f",
            "deep": { "er": { "still": "x" }, "tools": { "include": ["a*"] } }, "odd key: #": "x", "1": "x", "=": "x"
        });
        let text = entries(awkward.as_object().unwrap(), 4);
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, awkward, "{text}");
    }

    #[test]
    fn it_reads_like_the_work_of_a_person() {
        let server = json!({ "files": {
            "command": "npx", "args": ["-y", "@a/files", "/srv/docs"], "env": { "TOKEN": "file:secrets/files-TOKEN" }
        } });
        assert_eq!(
            entries(server.as_object().unwrap(), 2),
            "  files:\n    command: npx\n    args: [\"-y\", \"@a/files\", /srv/docs]\n    env:\n      TOKEN: \"file:secrets/files-TOKEN\"\n"
        );
    }
}
