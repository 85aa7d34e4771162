//! What a legacy session hears, and the stream that carries it.

use std::sync::Arc;

use bytes::Bytes;

use super::events::{self, Source};
use super::kept::{Event, Kept};
use super::subscriber::{Due, Subscriber};
use crate::jsonrpc::text;

/// A connection that reads what a session hears.
pub(crate) struct SessionStream {
    subscriber: Arc<Subscriber>,
    reader: u64,
    /// Where its events are kept, and which comes next; none on a transport
    /// that cannot resume.
    kept: Option<(Arc<Kept>, u64)>,
}

impl SessionStream {
    /// Takes over from an older connection.
    pub(crate) fn new(subscriber: &Arc<Subscriber>, kept: Option<(Arc<Kept>, u64)>) -> Self {
        Self { subscriber: Arc::clone(subscriber), reader: subscriber.take_over(), kept }
    }

    async fn message(&self) -> Option<Bytes> {
        match self.subscriber.next(self.reader).await {
            Due::ListChanged(kind) => {
                Some(Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{}\"}}", kind.changed())))
            }
            Due::Message(message) => Some(message),
            Due::Updated(uri) => Some(Bytes::from(format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{{\"uri\":{}}}}}",
                text(&uri)
            ))),
            Due::Superseded => None,
        }
    }

    /// What was sent on an older connection and not seen.
    fn replayed(&mut self) -> Option<Bytes> {
        let (kept, next) = self.kept.as_mut()?;
        match kept.event(*next) {
            Event::There(frame) => {
                *next += 1;
                Some(frame)
            }
            Event::ToCome => None,
            Event::Gone => {
                *next = kept.next();
                None
            }
        }
    }
}

impl Source for SessionStream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.replayed() {
                return Some(frame);
            }
            let message = self.message().await?;
            let Some((kept, next)) = &mut self.kept else { return Some(events::frame(&message)) };
            let (number, frame) = kept.record(&message);
            // An older connection may have taken a message at this moment: that one comes first.
            if number == *next {
                *next += 1;
                return Some(frame);
            }
        }
    }
}
