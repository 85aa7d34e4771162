//! Answers that pages of other origins may read (Fetch, "CORS protocol"):
//! clients that run in a browser. Which pages may call at all is the
//! [`Gate`](crate::Gate)'s to say, which stands in front of this. No cookie
//! counts at the endpoints that this is around, and none is let through.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tower::{Layer, Service};

/// What a client of MCP needs to see besides what every page sees.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, X-Request-Id",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Seconds for which a browser does not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Lets pages read the answers of the routes that it is a layer of, and
/// answers what browsers ask before they send a request.
#[derive(Debug, Clone, Copy)]
pub struct ReadableByPages;

impl<S> Layer<S> for ReadableByPages {
    type Service = Readable<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Readable { inner }
    }
}

/// The service that [`ReadableByPages`] makes as a layer.
#[derive(Debug, Clone)]
pub struct Readable<S> {
    inner: S,
}

impl<S> Service<Request> for Readable<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !request.headers().contains_key(header::ORIGIN) {
            return Either::Left(self.inner.call(request));
        }
        if request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            let answer = preflight(request.headers());
            return Either::Right(Box::pin(std::future::ready(Ok(answer))));
        }
        let answer = self.inner.call(request);
        Either::Right(Box::pin(async move {
            let mut response = answer.await?;
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            Ok(response)
        }))
    }
}

/// The headers are those that the page wants to send: `*` would not do for
/// `Authorization`, and those that repeat arguments have names of the tool's.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::VARY, HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS));
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(method: &str, headers: &[(&str, &str)]) -> Response {
        let router = Router::new()
            .route("/", post(async || (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")])))
            .layer(ReadableByPages);
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible")
    }

    const PAGE: (&str, &str) = ("origin", "http://localhost:6274");

    #[tokio::test]
    async fn a_page_reads_the_challenge_and_no_cookie_counts() {
        let response = answer("POST", &[PAGE]).await;
        assert_eq!(
            (response.status(), &response.headers()["access-control-allow-origin"]),
            (StatusCode::UNAUTHORIZED, &ANY)
        );
        let exposed = response.headers()["access-control-expose-headers"].to_str().expect("ASCII");
        assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Mcp-Session-Id"), "{exposed}");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
        assert!(!answer("POST", &[]).await.headers().contains_key("access-control-allow-origin"));
    }

    #[tokio::test]
    async fn what_a_browser_asks_first_never_reaches_the_route() {
        let asks = [
            PAGE,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,mcp-param-x"),
        ];
        let response = answer("OPTIONS", &asks).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()["access-control-allow-headers"], "authorization,mcp-param-x");
        assert_eq!(answer("OPTIONS", &[PAGE]).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
