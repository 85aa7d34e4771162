//! What goes back to a client, and how it is framed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::session::Session;
use crate::jsonrpc::text;

/// The session header of streamable HTTP (2025-03-26 and later).
pub(crate) const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// The answer to one message.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One JSON-RPC message, in pieces that are not copied together.
    Message { status: StatusCode, body: Pieces, session: Option<String> },
    /// A 403 that says what credential would do (RFC 6750 section 3.1).
    Challenge { body: Pieces, challenge: Box<HeaderValue> },
    /// Messages as they come; the last one is the answer. A client with a
    /// session can come back for them.
    Stream(mpsc::Receiver<Bytes>, Option<Arc<Session>>),
    /// A notification or a posted answer was taken.
    Accepted,
    /// The request was cancelled: there is no answer.
    Nothing,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Pieces>) -> Self {
        Self::Message { status: StatusCode::OK, body: body.into(), session: None }
    }

    /// A refusal, with what credential would do.
    pub(crate) fn challenging(self, challenge: Option<HeaderValue>) -> Self {
        match (self, challenge) {
            (Self::Message { status: StatusCode::FORBIDDEN, body, .. }, Some(challenge)) => {
                Self::Challenge { body, challenge: Box::new(challenge) }
            }
            (answer, _) => answer,
        }
    }

    /// A result around raw JSON that is already there.
    pub(crate) fn result(id: &str, result: impl Into<Bytes>) -> Self {
        Self::ok(result_message(id, result.into()))
    }
}

/// `{"jsonrpc":"2.0","id":…,"result":…}` without copying the result.
pub(crate) fn result_message(id: &str, result: Bytes) -> Pieces {
    Pieces::new([
        Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":")),
        result,
        Bytes::from_static(b"}"),
    ])
}

/// `{"jsonrpc":"2.0","id":…,"error":…}` around a raw error object.
pub(crate) fn error_message(id: &str, error: Bytes) -> Pieces {
    Pieces::new([
        Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":")),
        error,
        Bytes::from_static(b"}"),
    ])
}

/// A JSON-RPC error as the hub itself answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub status: StatusCode,
    pub code: i64,
    pub message: String,
    /// Raw JSON.
    pub data: Option<String>,
}

impl RpcError {
    /// An error that rides on HTTP 200, as most do.
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, code, message: message.into(), data: None }
    }

    #[must_use]
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    #[must_use]
    pub(crate) fn data(self, data: String) -> Self {
        Self { data: Some(data), ..self }
    }

    pub(crate) fn answer(&self, id: Option<&str>) -> Answer {
        Answer::Message { status: self.status, body: self.body(id), session: None }
    }

    pub(crate) fn body(&self, id: Option<&str>) -> Pieces {
        error_message(id.unwrap_or("null"), Bytes::from(self.object()))
    }

    fn object(&self) -> String {
        let message = text(&self.message);
        match &self.data {
            None => format!("{{\"code\":{},\"message\":{message}}}", self.code),
            Some(data) => format!("{{\"code\":{},\"message\":{message},\"data\":{data}}}", self.code),
        }
    }
}

/// A body of known length in a few pieces, sent without joining them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pieces {
    pieces: [Bytes; 3],
    next: usize,
    gzipped: bool,
}

impl Pieces {
    pub(crate) fn new(pieces: [Bytes; 3]) -> Self {
        Self { pieces, next: 0, gzipped: false }
    }

    /// The pieces of a gzip member, for a client that takes it.
    pub(crate) fn gzipped(pieces: [Bytes; 3]) -> Self {
        Self { gzipped: true, ..Self::new(pieces) }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces[self.next..].iter().map(Bytes::len).sum()
    }

    /// One buffer; for framing as an event.
    pub(crate) fn joined(&self) -> Bytes {
        let mut whole = Vec::with_capacity(self.len());
        for piece in &self.pieces[self.next..] {
            whole.extend_from_slice(piece);
        }
        Bytes::from(whole)
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self::new([bytes, Bytes::new(), Bytes::new()])
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        while self.next < self.pieces.len() {
            let index = self.next;
            self.next += 1;
            let piece = std::mem::take(&mut self.pieces[index]);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: Pieces, session: Option<&str>) -> Response {
    let gzipped = body.gzipped;
    // Small bodies go out in one piece: one write, one packet.
    let body = if body.len() < 16_384 { Body::from(body.joined()) } else { Body::new(body) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if gzipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
    }
    if let Some(Ok(value)) = session.map(HeaderValue::from_str) {
        headers.insert(SESSION_HEADER, value);
    }
    response
}

/// A JSON refusal with a challenge.
pub(crate) fn challenge(body: Pieces, challenge: HeaderValue) -> Response {
    let mut response = json(StatusCode::FORBIDDEN, body, None);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
