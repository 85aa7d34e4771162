//! Which values look like secrets.

use super::text::Text;

/// Words that make any value under the name a secret.
const SECRET_WORDS: [&str; 12] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "BEARER",
    "APIKEY",
    "COOKIE",
    "PAT",
    "AUTHORIZATION",
];
/// Words that do so when the name does not end in one of [`HARMLESS_ENDS`].
const LIKELY_WORDS: [&str; 3] = ["KEY", "AUTH", "JWT"];
const HARMLESS_ENDS: [&str; 16] = [
    "PATH", "FILE", "DIR", "URL", "URI", "ID", "NAME", "MODE", "TYPE", "ENABLED", "METHOD", "HOST", "PORT",
    "LIMIT", "SCOPE", "TTL",
];

/// How keys of well-known services start.
const KEY_PREFIXES: [&str; 24] = [
    "sk-",
    "sk_",
    "pk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "npm_",
    "pypi-",
    "hf_",
    "tlk_",
    "dop_v1_",
    "lin_api_",
    "eyJ",
];
/// Shorter texts with such a start may be words.
const SHORTEST_KEY: usize = 16;
/// Shorter texts without a known start are not taken for random.
const SHORTEST_RANDOM: usize = 24;

/// Whether the value of the variable or header `name` is to be kept out of the configuration.
pub(super) fn is_secret(name: &str, value: &Text) -> bool {
    let literal = value.literals();
    let literal = without_scheme(&literal);
    !literal.is_empty() && (name_is_secret(name) && !is_flag(literal) || value_is_secret(literal))
}

/// Whether a value by itself looks like a secret.
pub(super) fn value_is_secret(value: &str) -> bool {
    let value = without_scheme(value.trim());
    let has_known_start =
        value.len() >= SHORTEST_KEY && KEY_PREFIXES.iter().any(|prefix| value.starts_with(prefix));
    has_known_start || has_password_in_url(value) || is_random(value)
}

pub(super) fn name_is_secret(name: &str) -> bool {
    let words = words_of(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let ends_harmless = words.last().is_some_and(|last| HARMLESS_ENDS.contains(&last.as_str()));
    !ends_harmless && (has(&SECRET_WORDS) || has(&LIKELY_WORDS))
}

/// `X-Api-Key`, `API_KEY` and `apiKey` all have the words API and KEY.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        let starts_word = character.is_ascii_uppercase() && after_lower;
        after_lower = character.is_ascii_lowercase();
        if starts_word || !character.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_ascii_alphanumeric()) {
            word.push(character.to_ascii_uppercase());
        }
    }
    words
}

/// `Bearer x` without `Bearer`.
fn without_scheme(value: &str) -> &str {
    for scheme in ["Bearer", "Basic", "Token", "bearer", "basic", "token"] {
        if let Some(rest) = value.strip_prefix(scheme)
            && (rest.is_empty() || rest.starts_with(' '))
        {
            return rest.trim();
        }
    }
    value
}

fn is_flag(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(|_| value.len() < 6)
        || ["true", "false", "none", "null", "yes", "no", "on", "off"]
            .contains(&value.to_ascii_lowercase().as_str())
}

fn has_password_in_url(value: &str) -> bool {
    url::Url::parse(value)
        .is_ok_and(|url| url.has_authority() && url.password().is_some_and(|word| !word.is_empty()))
}

/// Letters of both cases and digits, or long hexadecimal, without the shape of a path.
fn is_random(value: &str) -> bool {
    let legal = |character: char| character.is_ascii_alphanumeric() || "+/_=-".contains(character);
    if value.len() < SHORTEST_RANDOM || !value.chars().all(legal) || value.starts_with(['/', '-']) {
        return false;
    }
    let has = |kind: fn(&char) -> bool| value.chars().any(|character| kind(&character));
    let hexadecimal = value.len() >= 32 && value.chars().all(|character| character.is_ascii_hexdigit());
    let words = value.split(['/', '-', '_']).filter(|part| part.len() >= 2).count();
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    hexadecimal || mixed && words <= 3
}

#[cfg(test)]
mod tests {
    use super::super::text::Notation;
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "GITHUB_TOKEN",
            "apiKey",
            "X-Api-Key",
            "DB_PASSWORD",
            "Authorization",
            "GITLAB_PAT",
            "SLACK_AUTH",
            "Cookie",
        ] {
            assert!(name_is_secret(name), "{name}");
        }
        for name in [
            "AUTHOR",
            "KEYBOARD",
            "TOKENIZERS_PARALLELISM",
            "SSH_KEY_PATH",
            "AUTH_MODE",
            "AWS_ACCESS_KEY_ID",
            "PATH",
            "MONKEY",
        ] {
            assert!(!name_is_secret(name), "{name}");
        }
    }

    #[test]
    fn shapes_of_secrets() {
        for value in [
            "ghp_0123456789abcdef0123",
            "sk-proj-0123456789abcdef",
            "Bearer eyJhbGciOiJub25lIn0.e30.",
            "postgres://app:hunter2@db/app",
            "0123456789abcdef0123456789abcdef",
            "aB3dE6gH9jK2mN5pQ8sT1vW4",
        ] {
            assert!(value_is_secret(value), "{value}");
        }
        for value in [
            "npx",
            "-y",
            "@modelcontextprotocol/server-filesystem",
            "/home/Ada/Documents/Projects2024",
            "https://api.example.com/v1/things",
            "postgres://app@db/app",
            "some-Long-Hyphenated-Name-2-with-Words",
            "sk-short",
        ] {
            assert!(!value_is_secret(value), "{value}");
        }
    }

    #[test]
    fn a_value_is_secret_by_its_name_or_its_shape_unless_it_is_elsewhere_already() {
        let secret = |name: &str, value: &str| is_secret(name, &Text::read(value, Notation::Braces));
        assert!(secret("API_KEY", "x"));
        assert!(secret("WHATEVER", "ghp_0123456789abcdef0123"));
        assert!(secret("Authorization", "Bearer abc"));
        assert!(!secret("API_KEY", "${API_KEY}"));
        assert!(!secret("Authorization", "Bearer ${T}"));
        assert!(!secret("API_KEY", ""));
        assert!(!secret("USE_AUTH", "true"));
        assert!(!secret("LOG_LEVEL", "debug"));
    }
}
