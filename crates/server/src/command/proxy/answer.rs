//! The messages in an HTTP answer: one JSON document, or the events of a stream.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use trunkline_web::egress::Response;
use trunkline_web::sse;

use super::failure::Failure;

/// The largest message taken from the hub, in bytes.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// Reads the messages of one answer.
#[derive(Debug)]
pub(super) enum Messages {
    Document(Option<Response>),
    Stream { response: Response, reader: Box<sse::Reader>, ended: bool },
}

impl Messages {
    pub(super) fn of(response: Response) -> Self {
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case(sse::MEDIA_TYPE) {
            Self::Stream { response, reader: Box::new(sse::Reader::new(LARGEST_MESSAGE)), ended: false }
        } else {
            Self::Document(Some(response))
        }
    }

    /// The next message, on one line; none at the end.
    ///
    /// # Errors
    /// The answer broke off or is too large.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Document(response) => {
                let Some(response) = response.take() else { return Ok(None) };
                let body = response.bytes(LARGEST_MESSAGE as u64).await?;
                Ok(Some(on_one_line(&body)).filter(|line| !line.is_empty()))
            }
            Self::Stream { response, reader, ended } => loop {
                for event in reader.by_ref() {
                    let is_message = event.event.as_deref().is_none_or(|name| name == "message");
                    // An event with an id and no data only marks a place to resume from.
                    if is_message && !event.data.is_empty() {
                        return Ok(Some(on_one_line(&event.data)));
                    }
                }
                if *ended {
                    return Ok(None);
                }
                match response.chunk().await? {
                    Some(chunk) => {
                        reader.push_bytes(chunk).map_err(|error| Failure::TooLarge { limit: error.limit })?;
                    }
                    None => *ended = true,
                }
            },
        }
    }

    /// Where a stream can be resumed, and how long to wait before that.
    pub(super) fn resumption(&self) -> (Option<String>, Option<Duration>) {
        match self {
            Self::Document(_) => (None, None),
            Self::Stream { reader, .. } => (reader.last_event_id().map(str::to_owned), reader.retry()),
        }
    }
}

/// JSON has line breaks only between its tokens, where a blank does as well.
fn on_one_line(message: &Bytes) -> Vec<u8> {
    let mut line = message.trim_ascii().to_vec();
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line
}
