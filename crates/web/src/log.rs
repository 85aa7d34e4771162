//! One line for each request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::{Method, StatusCode};
use tower::{Layer, Service};
use tracing::{debug, info};

use crate::RequestId;

/// Writes one line for each request: method, matched path, status, time until
/// the answer's head, id. Answers without fault are `debug`, others `info`.
/// Neither headers nor the path as sent nor the query are in it: they may
/// carry credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogLayer;

impl<S> Layer<S> for LogLayer {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Logged { inner }
    }
}

/// The service that [`LogLayer`] makes.
#[derive(Debug, Clone)]
pub struct Logged<S> {
    inner: S,
}

impl<S> Service<Request> for Logged<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = LoggedAnswer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let line = tracing::enabled!(tracing::Level::INFO).then(|| Line::of(&request));
        LoggedAnswer { inner: self.inner.call(request), line }
    }
}

pin_project_lite::pin_project! {
    /// The answer, once it has been logged.
    #[derive(Debug)]
    pub struct LoggedAnswer<F> {
        #[pin]
        inner: F,
        line: Option<Line>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for LoggedAnswer<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(context));
        if let Some(line) = this.line {
            line.status = Some(response.status());
        }
        *this.line = None;
        Poll::Ready(Ok(response))
    }
}

/// What a line says; it is written when dropped, so that a request whose
/// client went away before the answer has one too.
#[derive(Debug)]
struct Line {
    method: Method,
    path: Option<MatchedPath>,
    request_id: Option<RequestId>,
    started: Instant,
    status: Option<StatusCode>,
}

impl Line {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            path: request.extensions().get().cloned(),
            request_id: request.extensions().get().copied(),
            started: Instant::now(),
            status: None,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let method = self.method.as_str();
        let path = self.path.as_ref().map_or("(no route)", MatchedPath::as_str);
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let request_id = self.request_id.as_ref().map(tracing::field::display);
        match self.status {
            Some(status) if status.as_u16() < 400 => {
                debug!(method, path, status = status.as_u16(), duration_us, request_id, "request answered");
            }
            Some(status) => {
                info!(method, path, status = status.as_u16(), duration_us, request_id, "request answered");
            }
            None => info!(method, path, duration_us, request_id, "client went away before the answer"),
        }
    }
}
