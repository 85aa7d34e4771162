//! Pages that the hub renders for a person: sign-in, consent, results. They
//! need no JavaScript and allow none, load nothing from elsewhere, and stand
//! in no frame.

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// One style for every page.
const STYLE: &str = include_str!("../templates/pages.css");

/// A page that tells one thing.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub struct Notice {
    pub title: String,
    pub text: String,
    /// A label and where it leads.
    pub link: Option<(String, String)>,
}

/// Renders `template`; its forms may be sent to the hub alone.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    page_with_form_target(status, template, None)
}

/// Renders `template`. The answer to its form may lead the browser on to the
/// origin `target`, since browsers hold `form-action` against redirects too
/// (CSP level 3, section 6.4.2); a private-use scheme is given as `scheme:`.
pub fn page_with_form_target(status: StatusCode, template: &impl Template, target: Option<&str>) -> Response {
    let Ok(html) = template.render() else {
        tracing::error!("a page could not be rendered");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = (status, Html(html)).into_response();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{}",
        target.map(|target| format!(" {target}")).unwrap_or_default()
    );
    // A target that no header can carry is not allowed.
    let policy =
        HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    protect(response.headers_mut(), policy);
    response
}

fn protect(headers: &mut HeaderMap, policy: HeaderValue) {
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Under `no-referrer` a browser sends forms with `Origin: null` (Fetch, "append a request `Origin` header"),
    // which says nothing of where they come from.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// What the pages need besides themselves.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let style =
        async || ([(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=3600")], STYLE);
    Router::new().route("/pages.css", get(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_others_wrote_is_text_and_nothing_runs() {
        let notice = Notice {
            title: "<script>alert(1)</script>".to_owned(),
            text: "\"quoted\" & more".to_owned(),
            link: Some(("Back".to_owned(), "/connections".to_owned())),
        };
        let response = page_with_form_target(StatusCode::OK, &notice, Some("http://localhost:1234"));
        let policy = response.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("script"), "{policy}");
        assert!(policy.ends_with("form-action 'self' http://localhost:1234"), "{policy}");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("UTF-8");
        assert!(!text.contains("<script>"), "{text}");
        assert!(text.contains("href=\"/connections\""), "{text}");
    }
}
