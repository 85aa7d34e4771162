//! Changing some places of a text and leaving all else as it stands.

use std::ops::Range;

/// `original` with each range replaced by its text. The edits are in order
/// and do not overlap; an empty range inserts.
pub fn splice(original: &str, edits: &[(Range<usize>, &str)]) -> String {
    let growth: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut result = String::with_capacity(original.len() + growth);
    splice_into(&mut result, original, edits);
    result
}

/// [`splice`], at the end of `result`.
pub fn splice_into(result: &mut String, original: &str, edits: &[(Range<usize>, &str)]) {
    let mut position = 0;
    for (range, text) in edits {
        result.push_str(&original[position..range.start]);
        result.push_str(text);
        position = range.end;
    }
    result.push_str(&original[position..]);
}

/// `value` as a JSON string, quotes included.
pub fn text(value: &str) -> String {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        return ["\"", value, "\""].concat();
    }
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_and_insert() {
        assert_eq!(splice("abcdef", &[(0..0, ">"), (1..3, "X"), (6..6, "<")]), ">aXdef<");
        for value in ["", "plain", "größe", "a\"b", "a\\b", "a\nb", "\u{0}", "\u{7f}\u{2028}"] {
            assert_eq!(text(value), serde_json::Value::from(value).to_string(), "{value:?}");
        }
    }
}
