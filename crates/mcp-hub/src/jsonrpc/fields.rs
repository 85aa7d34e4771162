//! A few members of an object, found without building the object.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::message::Key;

/// Why the members of an object cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldFault {
    #[error("the member {0:?} stands twice")]
    Twice(&'static str),
    #[error("the member {0:?} differs from {1:?} only in its case")]
    WrongCase(String, &'static str),
    #[error("an object is expected")]
    NotAnObject,
    #[error("{0:?} must be a string")]
    NotAString(&'static str),
}

/// Whether `_meta` can stand in the text of an object, at whatever depth:
/// most requests of legacy clients are spared a parse by asking this first.
pub fn may_have_meta(object: &str) -> bool {
    let bytes = object.as_bytes();
    // An escape may spell any letter.
    memchr::memchr2_iter(b'_', b'\\', bytes).any(|at| {
        bytes[at] == b'\\' || bytes.get(at + 1..at + 5).is_some_and(|rest| rest.eq_ignore_ascii_case(b"meta"))
    })
}

/// The places of some members in the text of a JSON object.
#[derive(Debug)]
pub struct Fields<'a, const N: usize> {
    object: &'a str,
    keys: [&'static str; N],
    values: [Option<&'a str>; N],
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Looks for `keys` in `object`. A key that stands twice, or that differs
    /// only in its case, is refused: another reader might see the other one.
    ///
    /// # Errors
    /// [`FieldFault`] names the member.
    pub fn find(object: &'a str, keys: [&'static str; N]) -> Result<Self, FieldFault> {
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let seed = Seed { keys };
        let found = seed.deserialize(&mut deserializer).map_err(|_| FieldFault::NotAnObject)?;
        Ok(Self { object, keys, values: found? })
    }

    /// The raw text of the value of the key at `index` of the keys asked for.
    pub fn raw(&self, index: usize) -> Option<&'a str> {
        self.values[index]
    }

    /// The value at `index` as a string without its quotes and escapes.
    ///
    /// # Errors
    /// When the value is there and is no string.
    pub fn string(&self, index: usize) -> Result<Option<Cow<'a, str>>, FieldFault> {
        let Some(raw) = self.values[index] else { return Ok(None) };
        match unquote(raw) {
            Some(text) => Ok(Some(text)),
            None => Err(FieldFault::NotAString(self.keys[index])),
        }
    }

    /// Where the value at `index` stands in the object's text.
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        let raw = self.values[index]?;
        let start = raw.as_ptr() as usize - self.object.as_ptr() as usize;
        Some(start..start + raw.len())
    }
}

/// A JSON string's value; borrowed when it has no escapes.
pub(crate) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

struct Seed<const N: usize> {
    keys: [&'static str; N],
}

type Found<'de, const N: usize> = Result<[Option<&'de str>; N], FieldFault>;

impl<'de, const N: usize> DeserializeSeed<'de> for Seed<N> {
    type Value = Found<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Seed<N> {
    type Value = Found<'de, N>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        let mut fault = None;
        while let Some(Key(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            let Some(index) = self.keys.iter().position(|wanted| wanted.eq_ignore_ascii_case(&key)) else {
                continue;
            };
            if self.keys[index] != key {
                fault.get_or_insert(FieldFault::WrongCase(key.into_owned(), self.keys[index]));
            } else if values[index].replace(value.get()).is_some() {
                fault.get_or_insert(FieldFault::Twice(self.keys[index]));
            }
        }
        Ok(fault.map_or(Ok(values), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_where_they_stand() {
        let object = r#"{"x":[1,{"name":"inner"}], "name" : "a\u0062c", "_meta":{}}"#;
        let fields = Fields::find(object, ["name", "_meta", "uri"]).unwrap();
        assert_eq!(fields.string(0).unwrap().unwrap(), "abc");
        assert_eq!(&object[fields.range(0).unwrap()], r#""a\u0062c""#);
        assert_eq!(fields.raw(1), Some("{}"));
        assert_eq!(fields.raw(2), None);
    }

    #[test]
    fn meta_is_suspected_wherever_a_parser_could_find_it() {
        for with in [r#"{"_meta":{}}"#, r#"{"_Meta":{}}"#, r#"{"\u005fmeta":{}}"#, r#"{"a":{"_meta":1}}"#] {
            assert!(may_have_meta(with), "{with}");
        }
        for without in ["{}", r#"{"name":"a_b","meta":1,"_":"_met"}"#] {
            assert!(!may_have_meta(without), "{without}");
        }
    }

    #[test]
    fn a_member_that_another_reader_might_see_otherwise_is_refused() {
        assert_eq!(
            Fields::find(r#"{"name":"a","name":"b"}"#, ["name"]).unwrap_err(),
            FieldFault::Twice("name")
        );
        assert_eq!(
            Fields::find(r#"{"name":"a","Name":"b"}"#, ["name"]).unwrap_err(),
            FieldFault::WrongCase("Name".into(), "name")
        );
        assert_eq!(
            Fields::find(r#"{"name":7}"#, ["name"]).unwrap().string(0).unwrap_err(),
            FieldFault::NotAString("name")
        );
    }
}
