//! The answer to an outbound request.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use super::http1::Live;
use super::{EgressError, Target};

/// Status and headers, and a body that is read as it comes.
#[derive(Debug)]
pub struct Response {
    inner: http::Response<Incoming>,
    target: Target,
    /// The connection that brings the rest of the body, when nothing else drives it.
    driven: Option<Live>,
    /// Bytes that the body may still have.
    left: u64,
    limit: u64,
}

impl Response {
    pub(super) fn new(inner: http::Response<Incoming>, target: &Target) -> Self {
        Self { inner, target: target.clone(), driven: None, left: u64::MAX, limit: u64::MAX }
    }

    /// An answer that comes over `live`.
    pub(super) fn driven(inner: http::Response<Incoming>, target: &Target, live: Live) -> Self {
        let mut answer = Self::new(inner, target);
        answer.driven = Some(live);
        if answer.inner.body().is_end_stream() {
            answer.release();
        }
        answer
    }

    /// Gives the connection back, which has brought the whole body.
    fn release(&mut self) {
        if let Some(live) = self.driven.take()
            && let Some(plain) = &self.target.parts().plain
        {
            plain.origin.keep(live);
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = self.inner.body_mut();
        match &mut self.driven {
            Some(live) => live.poll_frame(body, context),
            None => Pin::new(body).poll_frame(context),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Takes the headers out, for an answer that passes them on.
    pub fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(self.inner.headers_mut())
    }

    /// From here on the body may have `limit` bytes.
    #[must_use]
    pub fn limited(mut self, limit: u64) -> Self {
        (self.left, self.limit) = (limit, limit);
        self
    }

    /// The next piece of the body as it came from the network; none at its end.
    ///
    /// # Errors
    /// [`EgressError::BrokenAnswer`], or [`EgressError::TooLarge`] beyond the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        loop {
            let frame = poll_fn(|context| self.poll_frame(context)).await;
            if frame.is_none() || self.inner.body().is_end_stream() {
                self.release();
            }
            let frame = match frame {
                None => return Ok(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(EgressError::of_answer(&error, self.target.name())),
            };
            // Trailers say nothing that we use.
            if let Ok(chunk) = frame.into_data() {
                let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                    return Err(self.too_large(self.limit));
                };
                self.left = left;
                return Ok(Some(chunk));
            }
        }
    }

    /// The whole body, at most `limit` bytes. A body of one piece is not copied.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk); a length announced too large is refused unread.
    pub async fn bytes(self, limit: u64) -> Result<Bytes, EgressError> {
        if self.inner.body().size_hint().exact().is_some_and(|length| length > limit) {
            return Err(self.too_large(limit));
        }
        let mut body = self.limited(limit);
        let Some(first) = body.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = body.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(2 * (first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(next) = body.chunk().await? {
            whole.extend_from_slice(&next);
        }
        Ok(whole.freeze())
    }

    /// The rest of the body as a stream, for an answer that passes it on.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, EgressError>> + Send {
        stream::try_unfold(self, async |mut body| Ok(body.chunk().await?.map(|chunk| (chunk, body))))
    }

    fn too_large(&self, limit: u64) -> EgressError {
        EgressError::TooLarge { target: self.target.name(), limit }
    }
}
