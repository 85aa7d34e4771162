//! All members of an object, each as it was written.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::unquote;

/// The members of `object` in their order, keys and values as raw JSON; none
/// when it is no object.
pub fn members(object: &str) -> Vec<(&str, &str)> {
    serde_json::Deserializer::from_str(object).deserialize_map(Members).unwrap_or_default()
}

/// `object` less its members of these names.
pub fn without(object: &str, names: &[&str]) -> String {
    let named = |key: &str| unquote(key).is_some_and(|key| names.contains(&key.as_ref()));
    let kept = members(object).into_iter().filter(|(key, _)| !named(key));
    let kept: Vec<String> = kept.map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", kept.join(","))
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de str, &'de str)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            members.push((key.get(), value.get()));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_bytes() {
        let object = r#"{ "b" : 1e2, "a\"":{"x": [ ]}, "c":"\u0061" }"#;
        assert_eq!(without(object, &["c", "z"]), r#"{"b":1e2,"a\"":{"x": [ ]}}"#);
        assert_eq!(without("{}", &["a"]), "{}");
        assert!(members("[1]").is_empty());
    }
}
