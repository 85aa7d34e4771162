//! What a child says of its secrets goes no further: its words reach logs,
//! and the last of them the error of a caller.

use std::borrow::Cow;

use trunkline_model::{Command, Secret};

/// Shorter values are words such as `true` or `info`, and no secrets.
const SHORTEST: usize = 8;
const MARK: &[u8] = "[redacted]".as_bytes();

/// The values of a child's declared environment.
#[derive(Debug, Default)]
pub(super) struct Redaction(Vec<Secret>);

impl Redaction {
    pub(super) fn of(command: &Command) -> Self {
        let long = |secret: &&Secret| secret.expose().len() >= SHORTEST;
        let mut secrets: Vec<Secret> = command.env.values().filter(long).cloned().collect();
        // One secret may stand in another: the whole goes first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    /// `text` with a mark in place of each secret.
    pub(super) fn applied<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            let needle = secret.expose().as_bytes();
            let places: Vec<usize> = memchr::memmem::find_iter(&text, needle).collect();
            if places.is_empty() {
                continue;
            }
            let mut marked = Vec::with_capacity(text.len());
            let mut position = 0;
            for place in places {
                marked.extend_from_slice(&text[position..place]);
                marked.extend_from_slice(MARK);
                position = place + needle.len();
            }
            marked.extend_from_slice(&text[position..]);
            text = Cow::Owned(marked);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(values: &[&str]) -> Redaction {
        let env = values.iter().map(|value| ((*value).to_owned(), Secret::new(*value))).collect();
        Redaction::of(&Command { program: String::new(), args: Vec::new(), env, cwd: None })
    }

    #[test]
    fn secrets_are_marked_and_other_words_stay() {
        let redaction = redaction(&["sk-12345678", "sk-12345678-and-more", "info"]);
        let line = b"info: key sk-12345678 is bad, sk-12345678-and-more too: sk-12345678";
        assert_eq!(
            redaction.applied(line).as_ref(),
            b"info: key [redacted] is bad, [redacted] too: [redacted]"
        );
        assert!(matches!(redaction.applied(b"nothing to hide"), Cow::Borrowed(_)));
    }
}
