//! Parameters of a request: each stands once (RFC 6749 section 3.1).

use std::collections::HashMap;

use thiserror::Error;
use url::form_urlencoded;

/// Bytes of a query or a body.
pub(super) const LONGEST: usize = 16 * 1024;

/// Why parameters were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum FormFault {
    #[error("the parameter {0} stands more than once")]
    Repeated(String),
    #[error("the request is too long")]
    TooLong,
}

/// Parameters by name. An empty one counts as absent (RFC 6749 section 3.1).
#[derive(Clone, Default)]
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, FormFault> {
        if text.len() > LONGEST {
            return Err(FormFault::TooLong);
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if value.is_empty() {
                continue;
            }
            if parameters.contains_key(name.as_ref()) {
                let name = name.chars().filter(char::is_ascii_graphic).take(40).collect();
                return Err(FormFault::Repeated(name));
            }
            parameters.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_once_and_an_empty_one_is_absent() {
        let form = Form::parse(b"a=1&b=&c=x%20y").expect("parameters");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), None, Some("x y")));
        let twice = Form::parse(b"a=1&a=1").map(|_| ());
        assert_eq!(twice, Err(FormFault::Repeated("a".to_owned())));
        assert!(matches!(Form::parse(&vec![b'a'; LONGEST + 1]), Err(FormFault::TooLong)));
    }
}
