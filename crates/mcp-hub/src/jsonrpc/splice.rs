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

/// An object without the member `key`; none when it has none.
pub fn cut(object: &str, key: &'static str) -> Option<String> {
    Some(splice(object, &[(member(object, key)?, "")]))
}

/// Where the member `key` of an object stands, with the comma that goes with
/// it; none when it has none.
pub fn member(object: &str, key: &'static str) -> Option<Range<usize>> {
    let value = super::Fields::find(object, [key]).ok()?.range(0)?;
    // Before the value stand its key and a colon. Whatever escapes the key is
    // written with, no quote stands in it.
    let before = object[..value.start].trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
    let before = object[..before.rfind('"')?].trim_end();
    let after = object[value.end..].trim_start();
    let (before, after) = match (before.strip_suffix(','), after.strip_prefix(',')) {
        (Some(before), _) => (before, after),
        (None, Some(after)) => (before, after.trim_start()),
        (None, None) => (before, after),
    };
    Some(before.len()..object.len() - after.len())
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
    fn a_member_is_cut_with_its_comma() {
        for (object, expected) in [
            (r#"{"a":1, "t":{"t":2} ,"b":3}"#, r#"{"a":1,"b":3}"#),
            (r#"{"t" : 1, "b":3}"#, r#"{"b":3}"#),
            (r#"{"b":"x", "\u0074":1 }"#, r#"{"b":"x"}"#),
            (r#"{ "t":[] }"#, "{}"),
        ] {
            assert_eq!(cut(object, "t").as_deref(), Some(expected), "{object}");
        }
        assert_eq!(cut("{}", "t"), None);
    }

    #[test]
    fn edits_replace_and_insert() {
        assert_eq!(splice("abcdef", &[(0..0, ">"), (1..3, "X"), (6..6, "<")]), ">aXdef<");
        for value in ["", "plain", "größe", "a\"b", "a\\b", "a\nb", "\u{0}", "\u{7f}\u{2028}"] {
            assert_eq!(text(value), serde_json::Value::from(value).to_string(), "{value:?}");
        }
    }
}
