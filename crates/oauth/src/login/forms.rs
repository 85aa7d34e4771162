//! Forms: only a page of this hub, in the same browser, may send one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequest, Request};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use trunkline_web::body;
use url::{Url, form_urlencoded};

use super::cookie::Cookie;
use crate::keys::Form;
use crate::page::{Notice, page};

/// The largest form taken, in bytes.
const LARGEST: usize = 64 * 1024;
const LIFETIME: Duration = Duration::from_hours(7 * 24);
/// The field that carries the token.
pub const TOKEN_FIELD: &str = "form_token";

/// Makes and checks the tokens of forms: each browser has one in a cookie,
/// and its forms carry it too. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Forms {
    cookie: Arc<Cookie>,
    origin: Arc<str>,
}

/// A token for the forms of a page, and the header that makes the browser
/// keep it, where it has none yet.
#[derive(Debug)]
pub struct FormToken {
    pub text: String,
    set_cookie: Option<HeaderValue>,
}

impl Forms {
    /// Forms of the hub at `public_url`.
    pub fn new(public_url: &Url) -> Self {
        Self {
            cookie: Arc::new(Cookie::new("trunkline_form", public_url)),
            origin: public_url.origin().ascii_serialization().into(),
        }
    }

    /// The token for a page that is shown to who sends these headers.
    pub fn token(&self, headers: &HeaderMap) -> FormToken {
        let held = self.cookie.value(headers).filter(|text| Form::FORM.hash_if_well_formed(text).is_some());
        if let Some(text) = held {
            return FormToken { text: text.to_owned(), set_cookie: None };
        }
        let minted = Form::FORM.mint(&mut rand::rng());
        let text = minted.key.expose().to_owned();
        FormToken { set_cookie: Some(self.cookie.set(&text, LIFETIME)), text }
    }

    /// Whether a form with this token comes from a page of ours in the same browser.
    pub fn is_ours(&self, uri: &Uri, headers: &HeaderMap, token: Option<&str>) -> bool {
        let hash = |text| Form::FORM.hash_if_well_formed(text);
        let held = self.cookie.value(headers).and_then(hash);
        // Hashes: how long the comparison takes tells nothing of the tokens.
        held.is_some() && held == token.and_then(hash) && self.is_same_origin(uri, headers)
    }

    /// What the browser itself says of where the form was (Fetch metadata,
    /// section 2.4; RFC 6454 section 7). Whoever says nothing is no browser
    /// that a foreign page could steer.
    fn is_same_origin(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return false;
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let host = uri.authority().map(http::uri::Authority::as_str);
        let host = host.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        origin == &*self.origin
            || authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    }
}

impl FormToken {
    /// Makes the browser that gets `response` keep the token.
    pub fn keep(self, mut response: Response) -> Response {
        if let Some(cookie) = self.set_cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// The fields of a form that a page of this hub sent; nothing else is one.
#[derive(Debug)]
pub struct Posted {
    fields: Vec<(String, String)>,
    pub headers: HeaderMap,
}

impl Posted {
    /// The field with this name, as it was sent; the first of several.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The field without blanks around it; none when nothing is left.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.field(name).map(str::trim).filter(|text| !text.is_empty())
    }
}

impl<S> FromRequest<S> for Posted
where
    S: Send + Sync,
    Forms: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let forms = Forms::from_ref(state);
        let (parts, body) = request.into_parts();
        let is_form = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if !is_form {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes =
            body::read(&parts.headers, body, LARGEST).await.map_err(|error| refused(error.status()))?;
        let fields = form_urlencoded::parse(&bytes).into_owned().collect();
        let posted = Self { fields, headers: parts.headers };
        if forms.is_ours(&parts.uri, &posted.headers, posted.field(TOKEN_FIELD)) {
            Ok(posted)
        } else {
            Err(refused(StatusCode::FORBIDDEN))
        }
    }
}

fn refused(status: StatusCode) -> Response {
    let notice = Notice {
        title: "This form was not taken".to_owned(),
        text:
            "It did not come from a page of this hub that was open in this browser, or the page was too old. \
               Go back, reload the page, and send it again. Cookies must be allowed."
                .to_owned(),
        link: None,
    };
    page(status, &notice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms() -> Forms {
        Forms::new(&"https://hub.example".parse().expect("a URL"))
    }

    fn browser(forms: &Forms) -> (HeaderMap, String) {
        let token = forms.token(&HeaderMap::new());
        let set = token.set_cookie.expect("a cookie");
        let pair = set.to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
        assert!(pair.starts_with("__Host-trunkline_form=tlf_"), "{pair}");
        let headers = HeaderMap::from_iter([
            (header::COOKIE, HeaderValue::from_str(&pair).expect("ASCII")),
            (header::HOST, HeaderValue::from_static("hub.example")),
        ]);
        (headers, token.text)
    }

    #[test]
    fn a_form_carries_the_token_of_its_browser() {
        let forms = forms();
        let uri = Uri::from_static("/login");
        let (headers, token) = browser(&forms);
        assert!(forms.is_ours(&uri, &headers, Some(&token)));
        assert_eq!(forms.token(&headers).text, token, "one for all pages");
        let (_, other) = browser(&forms);
        assert!(!forms.is_ours(&uri, &headers, Some(&other)));
        assert!(!forms.is_ours(&uri, &headers, None));
        assert!(!forms.is_ours(&uri, &HeaderMap::new(), Some(&token)));
        assert!(!forms.is_ours(&uri, &headers, Some("tlf_x")));
    }

    #[test]
    fn a_form_from_a_foreign_page_is_refused() {
        let forms = forms();
        let uri = Uri::from_static("/login");
        let (headers, token) = browser(&forms);
        let with = |name: &'static str, value: &'static str| {
            let mut headers = headers.clone();
            headers.insert(name, HeaderValue::from_static(value));
            forms.is_ours(&uri, &headers, Some(&token))
        };
        assert!(with("origin", "https://hub.example") && with("sec-fetch-site", "same-origin"));
        for origin in
            ["https://evil.example", "null", "https://hub.example.evil.example", "http://localhost:1"]
        {
            assert!(!with("origin", origin), "{origin}");
        }
        assert!(!with("sec-fetch-site", "cross-site") && !with("sec-fetch-site", "same-site"));
    }
}
