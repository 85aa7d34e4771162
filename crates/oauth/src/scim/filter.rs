//! Filters (RFC 7644 section 3.4.2.2), as far as directories send them:
//! `attribute eq value`, joined by `and`.

use serde_json::{Map, Value};

use super::body::{boolean, member};
use super::error::ScimError;

const LONGEST: usize = 2000;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter(Vec<Term>);

#[derive(Debug, Clone, PartialEq)]
struct Term {
    /// Names, from the outermost.
    path: Vec<String>,
    value: Value,
}

impl Filter {
    /// # Errors
    /// [`ScimError::InvalidFilter`] for what is none, or another kind.
    pub(super) fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return Err(invalid(&text[..0]));
        }
        let mut rest = text.trim();
        let mut terms = Vec::new();
        loop {
            let (term, after) = term(rest).ok_or_else(|| invalid(rest))?;
            terms.push(term);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(Self(terms));
            }
            rest = after_word(rest, "and").ok_or_else(|| invalid(rest))?;
        }
    }

    pub(super) fn fits(&self, resource: &Map<String, Value>) -> bool {
        self.0.iter().all(|term| term.fits(&term.path, resource))
    }

    /// What an element has that is made because none fits: `type eq "work"`.
    pub(super) fn as_element(&self) -> Map<String, Value> {
        let simple = self.0.iter().filter(|term| term.path.len() == 1);
        simple.map(|term| (term.path[0].clone(), term.value.clone())).collect()
    }
}

impl Term {
    fn fits(&self, path: &[String], object: &Map<String, Value>) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        member(object, first).is_some_and(|value| self.fits_value(rest, value))
    }

    fn fits_value(&self, rest: &[String], value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.fits_value(rest, item)),
            // Of several values, `value` is meant (RFC 7643 section 2.4).
            Value::Object(object) if rest.is_empty() => self.fits(&["value".to_owned()], object),
            Value::Object(object) => self.fits(rest, object),
            value => rest.is_empty() && is_same(value, &self.value),
        }
    }
}

fn is_same(held: &Value, asked: &Value) -> bool {
    match (held, asked) {
        (Value::String(held), Value::String(asked)) => held.to_lowercase() == asked.to_lowercase(),
        (Value::Bool(held), asked) => boolean(asked) == Some(*held),
        (held, asked) => held == asked,
    }
}

fn term(text: &str) -> Option<(Term, &str)> {
    let end = text.find(char::is_whitespace)?;
    let (path, rest) = text.split_at(end);
    // The core schemas' names may stand before the attribute's.
    let path = path.rsplit_once(':').map_or(path, |(_, path)| path);
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|character| character.is_ascii_alphanumeric() || "$-_".contains(character))
    };
    let path: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
    if !path.iter().all(|name| is_name(name)) {
        return None;
    }
    let rest = after_word(rest.trim_start(), "eq")?.trim_start();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let rest = &rest[values.byte_offset()..];
    (!value.is_array() && !value.is_object()).then_some((Term { path, value }, rest))
}

/// What follows a word, which a blank must.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    (start.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then_some(rest.trim_start())
}

fn invalid(at: &str) -> ScimError {
    let at: String = at.chars().take(40).collect();
    ScimError::InvalidFilter(format!(
        "filters are `attribute eq value`, joined by `and`; this is not one: {at}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(filter: &str, resource: Value) -> bool {
        let Value::Object(resource) = resource else { return false };
        Filter::parse(filter).expect(filter).fits(&resource)
    }

    #[test]
    fn a_filter_finds_what_directories_look_for() {
        let ann = || json!({"userName": "ann@example.org", "active": true, "emails": [{"type": "work", "value": "a@x"}], "name": {"familyName": "Lee"}});
        for good in [
            r#"userName eq "ann@example.org""#,
            r#"username Eq "ANN@example.org""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ann@example.org""#,
            r#"active eq true and emails.value eq "a@x""#,
            r#"emails eq "a@x""#,
            r#"active eq "True""#,
            r#"name.familyName eq "Lee" and userName eq "ann@example.org""#,
        ] {
            assert!(fits(good, ann()), "{good}");
        }
        assert!(!fits(r#"userName eq "bob""#, ann()) && !fits(r#"nickName eq "x""#, ann()));
        assert!(!fits(r#"userName eq "x\" or userName eq \"ann""#, ann()), "a quote ends no text");
    }

    #[test]
    fn another_filter_is_refused() {
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName eq ann",
            r#"userName sw "a""#,
            r#"userName eq "a" or active eq true"#,
            r#"(userName eq "a")"#,
            r#"userName eq "a" and"#,
            r#"a eq {"b": 1}"#,
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
