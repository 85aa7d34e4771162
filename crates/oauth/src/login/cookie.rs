//! Cookies of this hub.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use url::Url;

/// One cookie: its name, and whether it is for https alone.
#[derive(Debug, Clone)]
pub(crate) struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// The cookie `name` of the hub at `public_url`. Behind https it carries
    /// the prefix that no other host can set (RFC 6265bis section 4.1.3.2).
    pub(crate) fn new(name: &str, public_url: &Url) -> Self {
        let secure = public_url.scheme() == "https";
        let name = if secure { format!("__Host-{name}") } else { name.to_owned() };
        Self { name, secure }
    }

    /// The one value that a request presents; none when there are two, since
    /// then one of them is not ours.
    pub(crate) fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        only_value(headers, &self.name)
    }

    /// The header that sets it. `value` is of our own alphabet.
    pub(crate) fn set(&self, value: &str, lifetime: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        // Lax: the browser comes back from an identity provider by a link.
        let text = format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.name,
            lifetime.as_secs()
        );
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The header that makes the browser forget it.
    pub(crate) fn unset(&self) -> HeaderValue {
        self.set("", Duration::ZERO)
    }
}

/// The one value of the cookie `name` that a request presents; none when there are two.
pub(crate) fn only_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}
