//! Where a browser goes once its person is signed in.

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, StatusCode};

use crate::page::page;

/// Where people land who came from nowhere.
const HOME: &str = "/account";
const LONGEST: usize = 4096;

/// A path of this hub, with its query: never another site, whatever a browser
/// makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next(String);

impl Next {
    /// Takes `text` if it can lead nowhere but to this hub, or the account
    /// page. Browsers read `\` as `/`, and drop tabs and line breaks
    /// (WHATWG URL, "basic URL parser").
    pub fn or_home(text: Option<&str>) -> Self {
        let local = text.filter(|text| is_local(text)).unwrap_or(HOME);
        Self(local.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Sends a browser on that has just signed in. What leads on to another
    /// program is opened by a page of its own: browsers hold the `form-action`
    /// of the page with the form against every redirect that follows (CSP
    /// level 3, section 6.4.2).
    pub(crate) fn go_on(&self) -> Response {
        if self.0.starts_with("/oauth/") {
            return page(StatusCode::OK, &SignedInPage { next: &self.0 });
        }
        super::see_other(self.location())
    }

    /// The `Location` that leads there.
    pub(crate) fn location(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static(HOME))
    }
}

#[derive(Debug, Template)]
#[template(path = "signed_in.html")]
struct SignedInPage<'a> {
    next: &'a str,
}

fn is_local(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_hub_is_gone_to() {
        let kept = |text| Next::or_home(Some(text)).as_str() == text;
        assert!(kept("/oauth/authorize?client_id=a&redirect_uri=http%3A%2F%2Flocalhost"));
        assert!(kept("/"));
        let elsewhere = [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "/ok\r\nSet-Cookie: a=b",
            "",
            " /",
            "/na\u{ef}ve",
            "/a b",
            "@evil.example",
            ".//evil.example",
        ];
        for text in elsewhere {
            assert_eq!(Next::or_home(Some(text)).as_str(), HOME, "{text:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(Next::or_home(Some(&long)).as_str(), HOME);
        assert_eq!(Next::or_home(None).as_str(), HOME);
    }
}
