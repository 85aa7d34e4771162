//! Names that people choose: they stand in URLs, in tool names and in logs.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a server or a profile, in characters.
const LONGEST: usize = 40;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{noun} name {name:?} {fault}; a name has 1 to {LONGEST} of the characters a-z, A-Z, 0-9, '-' and '_', \
     starts with a letter or digit, does not end with '_' and has no '__'"
)]
pub struct NameError {
    noun: &'static str,
    name: String,
    fault: &'static str,
}

/// What two names must not have in common: case is folded and `.` and `-`
/// become `_`, because some clients show a tool's name that way.
pub fn fold(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            '.' | '-' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

fn fault_of(name: &str) -> Option<&'static str> {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > LONGEST {
        Some("is too long")
    } else if !name.chars().all(legal) {
        Some("has a character that is not allowed")
    } else if !name.starts_with(|character: char| character.is_ascii_alphanumeric()) {
        Some("does not start with a letter or digit")
    } else if name.ends_with('_') || name.contains("__") {
        Some("has '__' or ends with '_', which separates a server's prefix from its tools")
    } else {
        None
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// Checks `name` and takes it.
            ///
            /// # Errors
            /// [`NameError`] says which rule the text breaks.
            pub fn new(name: &str) -> Result<Self, NameError> {
                match fault_of(name) {
                    None => Ok(Self(name.into())),
                    Some(fault) => Err(NameError { noun: $noun, name: name.to_owned(), fault }),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of an upstream MCP server in the catalogue.
    ServerName,
    "server"
);
name!(
    /// The name of a profile, as it stands in its endpoint `/mcp/{profile}`.
    ProfileName,
    "profile"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_safe_in_urls_and_tool_names() {
        for good in ["time", "a", "My-Server2", "a_b", "9"] {
            assert!(ServerName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "a__b", "a_", "a b", "a/b", "ä", "a.b", &"x".repeat(41)] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folding_is_what_the_strictest_client_does() {
        assert_eq!(fold("Get-Time.now"), "get_time_now");
    }
}
