//! Streams of server-sent events to clients.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use tokio::sync::mpsc;

use trunkline_web::sse;

/// A comment this often keeps proxies and clients from giving up on a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a stream's events come from.
pub(crate) trait Source: Send + 'static {
    /// The next event, framed; none ends the stream. Must lose nothing when
    /// dropped while it waits.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

impl Source for mpsc::Receiver<Bytes> {
    async fn next(&mut self) -> Option<Bytes> {
        self.recv().await.map(|message| frame(&message))
    }
}

/// An event stream of the source's events, after one that is ready.
pub(crate) fn stream(first: Option<Bytes>, source: impl Source) -> Response {
    let frames = stream::unfold((first, source), |(first, mut source)| async move {
        if let Some(frame) = first {
            return Some((Ok::<_, Infallible>(frame), (None, source)));
        }
        let frame = match tokio::time::timeout(KEEP_ALIVE, source.next()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return None,
            Err(_) => sse::comment(),
        };
        Some((Ok(frame), (None, source)))
    });
    event_stream(Body::from_stream(frames))
}

/// An event stream that ends at once: the request was cancelled.
pub(crate) fn empty() -> Response {
    event_stream(Body::empty())
}

fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // nginx would hold events back until its buffer is full.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// One message as an event.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    sse::event(Some("message"), None, message)
}
