//! A YAML document as a tree that remembers where everything stood and how
//! each scalar was written.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::path::Path;
use super::problem::{Position, Problem};

/// The largest file that is read, in bytes.
pub(super) const LARGEST_FILE: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
    /// A scalar whose `${…}` could not be filled in; the fault is reported already.
    Unresolved,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Scalar {
    /// The text with its `${…}` filled in.
    pub(super) text: String,
    /// The text as the file has it, where that differs: what errors may show.
    pub(super) written: Option<String>,
}

impl Scalar {
    pub(super) fn as_written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

/// Parses `text`; duplicate keys are reported and the first of them stays.
///
/// # Errors
/// The place and words of the first fault in the YAML itself.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 200_000, max_aliases: 1_000, max_merge_keys: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        // found here instead, so that all of them are reported
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| Problem {
        position: error.location().map(position),
        path: String::new(),
        message: format!("not valid YAML: {}", one_line(&error)),
        help: None,
    })?;
    Ok(Builder { source: text, problems }.node(raw, &Path::root()))
}

fn position(location: Location) -> Position {
    Position { line: location.line(), column: location.column() }
}

/// The parser ends its message with the place, which the problem has already.
fn one_line(error: &serde_saphyr::Error) -> String {
    if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) {
        return "a second document starts here; the configuration is one document".to_owned();
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let words = line.find(" at line ").map_or(line, |end| &line[..end]);
    words.trim_end_matches(&[':', ','][..]).to_owned()
}

/// What the deserializer hands over before it is given its text and place.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that looks like a number or a truth value; its text stands in the source.
    Inferred(String),
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct RawVisitor;

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(Raw::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(Raw::Mapping(mapping))
    }
}

struct Builder<'a> {
    source: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>, path: &Path) -> Node {
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(Scalar { text, written: None }),
            Raw::Inferred(value) => {
                let text = self.written(&raw.defined).map_or(value, |written| written.trim().to_owned());
                Value::Scalar(Scalar { text, written: None })
            }
            Raw::Sequence(items) => {
                let items = items.into_iter().enumerate();
                Value::Sequence(items.map(|(index, item)| self.node(item, &path.index(index))).collect())
            }
            Raw::Mapping(entries) => self.mapping(entries, path),
        };
        Node { at: position(raw.defined), value }
    }

    fn mapping(&mut self, entries: Vec<(Spanned<String>, Spanned<Raw>)>, path: &Path) -> Value {
        let mut first: HashMap<String, Position> = HashMap::new();
        let mut mapping = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let at = position(key.defined);
            let path = path.key(&key.value);
            if let Some(before) = first.get(&key.value) {
                self.problems.push(Problem {
                    position: Some(at),
                    path: path.to_string(),
                    message: format!(
                        "duplicate key `{}`; it stands at line {} already",
                        key.value, before.line
                    ),
                    help: None,
                });
                continue;
            }
            first.insert(key.value.clone(), at);
            let value = self.node(value, &path);
            mapping.push((Key { at, text: key.value }, value));
        }
        Value::Mapping(mapping)
    }

    /// The characters of the file between the ends of a value.
    fn written(&self, location: &Location) -> Option<&str> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        self.source.get(start..start.checked_add(length)?)
    }
}
