//! The one credential that a request presents.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Refused;

/// How base64url of a JSON object, and so every JWT, begins.
const JSON_OBJECT: &str = "eyJ";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A credential, and where it stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) text: &'a str,
    /// It stands where a token may (RFC 6750 section 2.1) and looks like one:
    /// three parts, and no API key.
    pub(super) may_be_token: bool,
}

/// The key or token in `Authorization: Bearer` (RFC 6750 section 2.1) or
/// `x-api-key`; none when neither is there.
///
/// # Errors
/// [`Refused::Ambiguous`] when there are two and someone else might take the
/// other one; [`Refused::Malformed`] for another scheme than Bearer.
pub(super) fn presented(headers: &HeaderMap) -> Result<Option<Presented<'_>>, Refused> {
    let bearer = only_one(headers, &header::AUTHORIZATION)?.map(bearer_token).transpose()?;
    let key = only_one(headers, &X_API_KEY)?.map(text).transpose()?;
    match (bearer, key) {
        (Some(bearer), Some(key)) if bearer != key => Err(Refused::Ambiguous),
        (Some(text), _) => Ok(Some(Presented { text, may_be_token: text.starts_with(JSON_OBJECT) })),
        (None, key) => Ok(key.map(|text| Presented { text, may_be_token: false })),
    }
}

fn only_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refused> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Refused::Ambiguous) } else { Ok(first) }
}

fn bearer_token(value: &HeaderValue) -> Result<&str, Refused> {
    let (scheme, token) = text(value)?.split_once(' ').ok_or(Refused::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' '))
    } else {
        Err(Refused::Malformed)
    }
}

fn text(value: &HeaderValue) -> Result<&str, Refused> {
    value.to_str().map_err(|_| Refused::Malformed)
}
