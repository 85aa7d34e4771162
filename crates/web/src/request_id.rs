//! Every request gets an id that its answer, its log line and its audit
//! events carry.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::{FromRequestParts, Request};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tower::{Layer, Service};
use trunkline_model::Clock;
use uuid::Uuid;

use crate::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request, a UUID of version 7. A handler takes it as an
/// extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| {
            Problem::new(http::StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
                .detail("request without an id")
        })
    }
}

/// Gives each request a [`RequestId`] and each answer the header
/// `x-request-id`. An `x-request-id` that the client sent is never used: a
/// caller must not choose what the audit trail says.
#[derive(Debug, Clone)]
pub struct RequestIdLayer {
    clock: Arc<dyn Clock>,
    random: fn() -> [u8; 10],
}

impl RequestIdLayer {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: rand::random }
    }

    /// Ids from the given randomness, for tests.
    #[must_use]
    pub fn with_random(mut self, random: fn() -> [u8; 10]) -> Self {
        self.random = random;
        self
    }

    fn next_id(&self) -> RequestId {
        let milliseconds = u64::try_from(self.clock.now().as_micros() / 1000).unwrap_or(0);
        RequestId(uuid::Builder::from_unix_timestamp_millis(milliseconds, &(self.random)()).into_uuid())
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = WithRequestId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithRequestId { inner, ids: self.clone() }
    }
}

/// The service that [`RequestIdLayer`] makes.
#[derive(Debug, Clone)]
pub struct WithRequestId<S> {
    inner: S,
    ids: RequestIdLayer,
}

impl<S> Service<Request> for WithRequestId<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = AnswerWithId<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = self.ids.next_id();
        request.extensions_mut().insert(id);
        AnswerWithId { inner: self.inner.call(request), id }
    }
}

pin_project_lite::pin_project! {
    /// The answer, once it has its header.
    #[derive(Debug)]
    pub struct AnswerWithId<F> {
        #[pin]
        inner: F,
        id: RequestId,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for AnswerWithId<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(context));
        let mut text = Uuid::encode_buffer();
        if let Ok(value) = HeaderValue::from_str(this.id.0.hyphenated().encode_lower(&mut text)) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use trunkline_model::{ManualClock, Timestamp};

    use super::*;

    #[tokio::test]
    async fn handler_and_answer_have_the_same_id_and_the_clients_is_not_taken() {
        let clock = ManualClock::starting_at(Timestamp::from_micros(1_700_000_000_000_000));
        let layer = RequestIdLayer::new(Arc::new(clock)).with_random(|| [7; 10]);
        let router =
            Router::new().route("/", get(|id: RequestId| async move { id.to_string() })).layer(layer);
        let request =
            Request::get("/").header("x-request-id", "chosen").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let header = response.headers()["x-request-id"].to_str().expect("ASCII").to_owned();
        let body =
            crate::body::read(&http::HeaderMap::new(), response.into_body(), 100).await.expect("a body");
        assert_eq!(body, header);
        let id: Uuid = header.parse().expect("a UUID");
        assert_eq!(id.get_version_num(), 7);
        assert!(header.starts_with("018bcfe5-6800-7707"), "{header}");
    }
}
