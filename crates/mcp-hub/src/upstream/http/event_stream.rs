//! The events of one response body.

use std::time::Duration;

use trunkline_web::egress::Response;
use trunkline_web::sse::{Event, Reader, TooLarge};

use super::Failure;

/// A server that asks for less and ends each stream at once would be asked
/// without a pause.
const SHORTEST_DELAY: Duration = Duration::from_millis(100);

/// A `text/event-stream` body, read as it arrives.
#[derive(Debug)]
pub(in crate::upstream) struct EventStream {
    response: Response,
    reader: Reader,
    fault: Option<TooLarge>,
}

impl EventStream {
    pub(in crate::upstream) fn new(response: Response, event_limit: usize) -> Self {
        Self { response, reader: Reader::new(event_limit), fault: None }
    }

    /// The next event; `None` when the server ended the stream.
    pub(in crate::upstream) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.reader.next() {
                return Ok(Some(event));
            }
            if let Some(TooLarge { limit }) = self.fault {
                return Err(Failure::TooLarge { limit });
            }
            match self.response.chunk().await? {
                Some(bytes) => self.fault = self.reader.push_bytes(bytes).err(),
                None => return Ok(None),
            }
        }
    }

    /// Where to take up the stream after it broke.
    pub(in crate::upstream) fn last_event_id(&self) -> Option<&str> {
        self.reader.last_event_id()
    }

    /// How long to wait before that, when the server asks for a time.
    pub(in crate::upstream) fn retry(&self) -> Option<Duration> {
        self.reader.retry().map(|asked| asked.max(SHORTEST_DELAY))
    }
}
