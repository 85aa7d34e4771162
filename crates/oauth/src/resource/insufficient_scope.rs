//! The challenge to a token that has too little scope (RFC 6750 section 3.1).

use http::HeaderValue;

use super::refused::is_quotable;
use crate::scope;

/// The `WWW-Authenticate` header of a 403: the scopes that the token has, so
/// that the next one has no less, and those that it lacks.
pub fn insufficient_scope(
    resource_metadata: Option<&str>,
    granted: &str,
    lacking: &[&str],
) -> Option<HeaderValue> {
    // Whether a client gets a refresh token is not the resource's to ask (MCP 2026-07-28, authorization).
    let granted = granted.split(' ').filter(|scope| *scope != scope::OFFLINE_ACCESS);
    let all: Vec<&str> = granted.chain(lacking.iter().copied()).collect();
    let mut parameters =
        vec!["error=\"insufficient_scope\"".to_owned(), format!("scope=\"{}\"", all.join(" "))];
    parameters.extend(
        resource_metadata.filter(|url| is_quotable(url)).map(|url| format!("resource_metadata=\"{url}\"")),
    );
    parameters
        .push("error_description=\"The access token lacks a scope that this needs. Ask for it.\"".to_owned());
    HeaderValue::try_from(format!("Bearer {}", parameters.join(", "))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_token_has_and_what_it_lacks_is_named_at_once() {
        let challenge = insufficient_scope(Some("https://h/m"), "mcp audit offline_access", &["deploy"])
            .expect("a header");
        assert_eq!(
            challenge.to_str().expect("ASCII"),
            "Bearer error=\"insufficient_scope\", scope=\"mcp audit deploy\", resource_metadata=\"https://h/m\", \
             error_description=\"The access token lacks a scope that this needs. Ask for it.\""
        );
    }
}
