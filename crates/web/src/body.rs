//! A request's body, whole and within bounds.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use thiserror::Error;

use crate::Problem;

/// A client that sends its body more slowly than this is sent away.
const DEADLINE: Duration = Duration::from_mins(1);
/// A body at most this many times too large is read to its end before it is
/// refused: a client that is still sending takes a closed connection for the
/// answer and never sees the refusal.
const DISCARD_FACTOR: u64 = 4;
/// How long that may take.
const DISCARD_DEADLINE: Duration = Duration::from_secs(5);
/// How much of a body is read that nobody wants, and for how long.
const UNREAD_BYTES: u64 = 64 * 1024;
const UNREAD_DEADLINE: Duration = Duration::from_secs(1);

/// Why a body was not taken. Each is the client's fault; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body broke off or is malformed")]
    Broken,
    #[error("the body took longer than {} seconds to arrive", DEADLINE.as_secs())]
    TooSlow,
    #[error("the body has a Content-Encoding; send it without")]
    Encoded,
    #[error("the body has a Transfer-Encoding besides chunked; send it without")]
    TransferCoded,
}

impl BodyError {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // RFC 9112 section 6.1.
            Self::TransferCoded => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        Problem::new(self.status(), "Request body not accepted").detail(self.to_string()).into_response()
    }
}

/// Reads all of `body`, at most `limit` bytes. A body that comes in one piece
/// is not copied.
///
/// # Errors
/// [`BodyError`] says why the body was not taken; a length that is announced
/// too large, or an encoding, is refused before anything is read.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, BodyError> {
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(BodyError::Encoded);
    }
    if !is_chunked_at_most(headers) {
        return Err(BodyError::TransferCoded);
    }
    let mut body = body;
    let read = if body.size_hint().lower() > limit as u64 {
        Err(BodyError::TooLarge { limit })
    } else {
        let collected = tokio::time::timeout(DEADLINE, collect(&mut body, limit)).await;
        collected.unwrap_or(Err(BodyError::TooSlow))
    };
    // A client that asks first (RFC 9110 section 10.1.1) has sent nothing yet.
    if matches!(read, Err(BodyError::TooLarge { .. })) && !headers.contains_key(header::EXPECT) {
        discard(&mut body, DISCARD_FACTOR.saturating_mul(limit as u64)).await;
    }
    read
}

/// Reads a body that nobody wants, so that the client finds its connection
/// open for what it sends next: one that is refused before its body has come
/// would be cut off after the answer, and clients take that for a failure.
/// A larger one, or one that does not come soon, is left.
pub async fn discard_unread(headers: &HeaderMap, mut body: Body) {
    // Who asks first (RFC 9110 section 10.1.1) has sent nothing yet.
    if !headers.contains_key(header::EXPECT) {
        let _ = tokio::time::timeout(UNREAD_DEADLINE, discard(&mut body, UNREAD_BYTES)).await;
    }
}

/// Whether no other transfer coding was applied than chunked, once: the
/// transport undoes no other (RFC 9112 section 6.1).
fn is_chunked_at_most(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Reads what is left of `body` and drops it, unless it is more than `most` bytes.
async fn discard(body: &mut Body, most: u64) {
    if body.size_hint().lower() > most {
        return;
    }
    let read_on = async {
        let mut discarded = 0;
        while let Ok(Some(data)) = next_data(body).await {
            discarded += data.len() as u64;
            if discarded > most {
                return;
            }
        }
    };
    // However far it came: the refusal is sent now.
    let _ = tokio::time::timeout(DISCARD_DEADLINE, read_on).await;
}

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, BodyError> {
    let Some(first) = next_data(body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let Some(second) = next_data(body).await? else { return Ok(first) };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut whole = BytesMut::with_capacity((first.len() + second.len()).saturating_add(expected).min(limit));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(data) = next {
        if whole.len() + data.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        whole.extend_from_slice(&data);
        next = next_data(body).await?;
    }
    Ok(whole.freeze())
}

/// The next data frame; trailers are passed over.
async fn next_data(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn in_pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece))))
    }

    fn encoded(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().expect("a value"))])
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        let plain = HeaderMap::new();
        assert_eq!(read(&plain, in_pieces(&["ab", "", "cd", "e"]), 5).await, Ok(Bytes::from("abcde")));
        let too_large = Err(BodyError::TooLarge { limit: 4 });
        assert_eq!(read(&plain, in_pieces(&["ab", "cd", "e"]), 4).await, too_large);
        assert_eq!(read(&plain, in_pieces(&["abcde"]), 4).await, too_large);
        assert_eq!(read(&plain, Body::from("abcde"), 4).await, too_large);
        assert_eq!(read(&plain, Body::empty(), 0).await, Ok(Bytes::new()));
    }

    #[tokio::test]
    async fn a_body_a_little_too_large_is_read_to_its_end() {
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&seen);
        let endless = Body::from_stream(stream::iter(0..100).map(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok::<_, std::io::Error>("ab")
        }));
        assert_eq!(read(&HeaderMap::new(), endless, 4).await, Err(BodyError::TooLarge { limit: 4 }));
        // Three pieces to notice, then sixteen bytes and the piece that is one too many.
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 3 + 8 + 1);
    }

    #[tokio::test]
    async fn a_transfer_coding_besides_chunked_is_refused() {
        let coded = |codings: &[&str]| {
            codings
                .iter()
                .map(|coding| (header::TRANSFER_ENCODING, coding.parse().expect("a value")))
                .collect::<HeaderMap>()
        };
        assert_eq!(read(&coded(&["Chunked"]), Body::from("x"), 9).await, Ok(Bytes::from("x")));
        for codings in [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"]] {
            let refused = read(&coded(codings), Body::from("x"), 9).await;
            assert_eq!(refused, Err(BodyError::TransferCoded), "{codings:?}");
        }
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let bytes = Bytes::from("x".repeat(100));
        let read = read(&HeaderMap::new(), Body::from(bytes.clone()), 100).await.expect("a body");
        assert_eq!(read.as_ptr(), bytes.as_ptr());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_the_clients_fault() {
        let broken = stream::iter([Ok("{"), Err(std::io::Error::other("gone"))]);
        let error = read(&HeaderMap::new(), Body::from_stream(broken), 100).await;
        assert_eq!(error, Err(BodyError::Broken));
        assert_eq!(BodyError::Broken.status(), 400);
    }

    #[tokio::test]
    async fn only_the_identity_encoding_is_read() {
        assert_eq!(read(&encoded("gzip"), Body::from("x"), 9).await, Err(BodyError::Encoded));
        assert_eq!(read(&encoded("identity"), Body::from("x"), 9).await, Ok(Bytes::from("x")));
        assert_eq!(BodyError::Encoded.status(), 415);
        assert_eq!(BodyError::TooLarge { limit: 1 }.status(), 413);
    }
}
