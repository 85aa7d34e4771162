//! A defect in one request is an answer to that request, and nothing more.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tower::{Layer, Service};
use tracing::error;

use crate::{Problem, RequestId};

/// Turns a panic in a handler into a 500 with the request's id. The panic's
/// words are not in it: they may quote what the request carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct RescueLayer;

impl<S> Layer<S> for RescueLayer {
    type Service = Rescued<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Rescued { inner }
    }
}

/// The service that [`RescueLayer`] makes.
#[derive(Debug, Clone)]
pub struct Rescued<S> {
    inner: S,
}

impl<S> Service<Request> for Rescued<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RescuedAnswer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let request_id = request.extensions().get().copied();
        RescuedAnswer { inner: self.inner.call(request), request_id }
    }
}

pin_project_lite::pin_project! {
    /// The answer, or a 500 in its place.
    #[derive(Debug)]
    pub struct RescuedAnswer<F> {
        #[pin]
        inner: F,
        request_id: Option<RequestId>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RescuedAnswer<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // After a panic the inner future is never polled again: the answer below is the last word.
        match catch_unwind(AssertUnwindSafe(|| this.inner.poll(context))) {
            Ok(answer) => answer,
            Err(_) => Poll::Ready(Ok(internal_error(*this.request_id))),
        }
    }
}

fn internal_error(request_id: Option<RequestId>) -> Response {
    let id = request_id.map(|id| id.to_string()).unwrap_or_default();
    error!(request_id = id, "a request ended in a panic");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
        .detail("This is a defect of the hub. Its log has the reason under the request id.")
        .with("request_id", id)
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn breaks() -> &'static str {
        panic!("secret words")
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_words() {
        let router = Router::new().route("/", get(breaks)).layer(RescueLayer);
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body =
            crate::body::read(&http::HeaderMap::new(), response.into_body(), 1000).await.expect("a body");
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
