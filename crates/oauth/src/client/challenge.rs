//! What a server says with HTTP 401 and 403: the `WWW-Authenticate` header
//! (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9728 section 5.1).

use http::header::{HeaderMap, WWW_AUTHENTICATE};

/// The first challenge of the scheme `Bearer`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the protected resource metadata is.
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

impl Challenge {
    /// The challenge in a response's headers; none when no `Bearer` one can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        values.filter_map(|value| value.to_str().ok()).find_map(Self::parse)
    }

    /// Reads one header value, which may hold several challenges.
    pub fn parse(value: &str) -> Option<Self> {
        let mut rest = value;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (scheme, after) = token(rest)?;
            let (parameters, after) = parameters(after);
            if scheme.eq_ignore_ascii_case("bearer") {
                return Some(Self::from(parameters));
            }
            rest = after;
        }
    }

    /// The scopes, each once.
    pub fn scopes(&self) -> Vec<String> {
        scopes(self.scope.as_deref().unwrap_or_default())
    }

    /// Whether a token with further scopes would do (RFC 6750 section 3.1).
    pub fn asks_for_more_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

impl From<Vec<(String, String)>> for Challenge {
    fn from(parameters: Vec<(String, String)>) -> Self {
        let mut challenge = Self::default();
        for (name, value) in parameters {
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut challenge.resource_metadata,
                "scope" => &mut challenge.scope,
                "error" => &mut challenge.error,
                "error_description" => &mut challenge.error_description,
                _ => continue,
            };
            // The first of two counts: a later one may have been appended by somebody else.
            place.get_or_insert(value);
        }
        challenge
    }
}

/// A space-separated list of scopes (RFC 6749 section 3.3), each once.
pub(super) fn scopes(text: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split_ascii_whitespace() {
        let legal = scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if legal && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A leading token and the rest; none when there is none.
fn token(text: &str) -> Option<(&str, &str)> {
    let length = text.bytes().take_while(|byte| is_token(*byte)).count();
    (length > 0).then(|| text.split_at(length))
}

/// The parameters that follow a scheme, up to the next scheme or what cannot be read.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        let Some((name, after)) = token(start) else {
            // A token68 or nonsense: whatever it is, it is skipped up to a comma.
            let next = start.find(',').map_or("", |comma| &start[comma..]);
            if next.is_empty() {
                return (found, next);
            }
            rest = next;
            continue;
        };
        let Some(after) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            // The name of the next scheme.
            return (found, start);
        };
        let after = after.trim_start_matches([' ', '\t']);
        let Some((value, after)) = quoted(after).or_else(|| plain(after)) else {
            rest = after.trim_start_matches('=');
            continue;
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn plain(text: &str) -> Option<(String, &str)> {
    // More than a token: servers leave the quotes of URLs and scopes away.
    let length = text.bytes().take_while(|byte| byte.is_ascii_graphic() && !b",\"".contains(byte)).count();
    (length > 0).then(|| (text[..length].to_owned(), &text[length..]))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &inner[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bearer_challenge_is_read_wherever_it_stands() {
        let expected = Challenge {
            resource_metadata: Some("https://s.example/.well-known/oauth-protected-resource/mcp".into()),
            scope: Some("a b".into()),
            error: Some("invalid_token".into()),
            error_description: Some("it \"expired\", sorry".into()),
        };
        let parameters = r#"resource_metadata="https://s.example/.well-known/oauth-protected-resource/mcp", scope="a b", error="invalid_token", error_description="it \"expired\", sorry""#;
        for value in [
            format!("Bearer {parameters}"),
            format!("bearer   {parameters} , realm=x"),
            format!("Basic realm=\"x, Bearer y\", Bearer {parameters}"),
            format!("Negotiate abc==, Bearer {parameters}, Digest realm=\"q\", nonce=\"z\""),
            format!("Bearer {parameters}, scope=\"second\""),
        ] {
            assert_eq!(Challenge::parse(&value), Some(expected.clone()), "{value}");
        }
    }

    #[test]
    fn what_servers_write_without_quotes_is_read_too() {
        let challenge = Challenge::parse("Bearer resource_metadata=https://x/y?z=1,scope=a").unwrap();
        assert_eq!(challenge.resource_metadata.as_deref(), Some("https://x/y?z=1"));
        assert_eq!(challenge.scopes(), ["a"]);
        assert_eq!(Challenge::parse("Bearer"), Some(Challenge::default()));
    }

    #[test]
    fn other_schemes_are_no_challenge_of_ours() {
        for value in ["", "Basic realm=\"Bearer\"", ",,,", "=", "Basic", "\"Bearer\""] {
            assert_eq!(Challenge::parse(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = Challenge::parse(&text);
        }

        #[test]
        fn a_quoted_value_comes_out_as_it_went_in(text in "[ -~]{0,60}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let challenge = Challenge::parse(&format!("Bearer x=1, scope=\"{escaped}\""));
            prop_assert_eq!(challenge.unwrap().scope.unwrap(), text);
        }
    }
}
