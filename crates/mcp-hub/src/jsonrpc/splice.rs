//! Changing some places of a text and leaving all else as it stands.

use std::ops::Range;

/// `original` with each range replaced by its text. The edits are in order
/// and do not overlap; an empty range inserts.
pub fn splice(original: &str, edits: &[(Range<usize>, &str)]) -> String {
    let growth: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut result = String::with_capacity(original.len() + growth);
    let mut position = 0;
    for (range, text) in edits {
        result.push_str(&original[position..range.start]);
        result.push_str(text);
        position = range.end;
    }
    result.push_str(&original[position..]);
    result
}

/// `value` as a JSON string, quotes included.
pub fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_and_insert() {
        assert_eq!(splice("abcdef", &[(0..0, ">"), (1..3, "X"), (6..6, "<")]), ">aXdef<");
        assert_eq!(text("a\"b"), r#""a\"b""#);
    }
}
