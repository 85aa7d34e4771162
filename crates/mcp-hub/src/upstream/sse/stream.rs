//! The stream of an HTTP+SSE server: its first event, and all others.

use std::sync::Arc;

use trunkline_web::sse::Event;
use url::Url;

use super::inbox::{Cause, Inbox};
use crate::jsonrpc::{Fields, Kind, Message};
use crate::upstream::http::{EventStream, Failure, MediaType, Wire, reply_over, reply_to};
use crate::upstream::{Events, InstanceKey, ServerEvent, ask_aside};

const PROGRESS: &str = "notifications/progress";

/// An open stream and where messages go.
pub(super) struct Opened {
    pub(super) endpoint: Url,
    pub(super) stream: EventStream,
}

/// Opens the stream and waits for its `endpoint` event.
pub(super) async fn open(wire: &Wire) -> Result<Opened, Failure> {
    let response = wire.open_stream(None).await?;
    if !response.status().is_success() {
        return Err(wire.refusal(response).await);
    }
    if MediaType::of(response.headers()) != MediaType::EventStream {
        return Err(Failure::unexpected(&response));
    }
    let mut stream = EventStream::new(response, wire.message_limit);
    while let Some(event) = stream.next().await? {
        if event.event.as_deref() == Some("endpoint") {
            let endpoint = endpoint_in(wire.url(), &event)?;
            return Ok(Opened { endpoint, stream });
        }
    }
    Err(Failure::NotMcp { reason: "its stream ended without an endpoint event".to_owned() })
}

/// The address in an `endpoint` event. Another origin is refused: messages
/// and the credential with them would go where nobody configured.
fn endpoint_in(stream_url: &Url, event: &Event) -> Result<Url, Failure> {
    let not_mcp = |reason: &str| Failure::NotMcp { reason: reason.to_owned() };
    let text = std::str::from_utf8(&event.data).map_err(|_| not_mcp("its endpoint event is not UTF-8"))?;
    let endpoint = stream_url.join(text.trim()).map_err(|_| not_mcp("its endpoint event has no URL"))?;
    if endpoint.origin() != stream_url.origin() {
        let origin = endpoint.origin().ascii_serialization();
        return Err(Failure::NotMcp {
            reason: format!("its endpoint event points to another origin, {origin}, which is refused"),
        });
    }
    Ok(endpoint)
}

/// Reads the stream to its end and brings each message to whoever waits for it.
pub(super) struct Reader {
    pub(super) wire: Arc<Wire>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) key: InstanceKey,
    pub(super) events: Events,
}

impl Reader {
    pub(super) async fn run(self, mut stream: EventStream) {
        let reason = loop {
            match stream.next().await {
                Ok(Some(event)) => self.take(event).await,
                Ok(None) => break "the server ended its stream".to_owned(),
                Err(failure) => break failure.to_string(),
            }
        };
        self.inbox.close(&reason);
        // Whoever listened has gone when this fails.
        let _ = self.events.send((self.key, ServerEvent::Closed { reason })).await;
    }

    async fn take(&self, event: Event) {
        if event.data.is_empty() || event.event.is_some_and(|kind| kind != "message") {
            return;
        }
        let Ok(message) = Message::parse_shallow(event.data) else {
            tracing::debug!(server = %self.wire.server, "dropped an event that is no JSON-RPC message");
            return;
        };
        match message.kind() {
            Kind::Result | Kind::Error => {
                let answered = message.numeric_id().is_some_and(|id| self.inbox.answer(id, message));
                if !answered {
                    tracing::debug!(server = %self.wire.server, "dropped an answer that nobody waits for");
                }
            }
            Kind::Notification => self.notified(message),
            Kind::Request => {
                // Over one stream for all requests, only the one in flight can have caused it.
                let answer = match self.inbox.ask(&message) {
                    Cause::TheOne => None,
                    Cause::Nothing => {
                        ask_aside(&self.events, self.key.clone(), &message, reply_over(&self.wire))
                    }
                    Cause::OneOfSeveral => Some(reply_to(&message)),
                };
                if let Some(answer) = answer {
                    self.wire.notify_aside("reply", answer).await;
                }
            }
        }
    }

    /// Progress belongs to the request whose id is its token; all else to no
    /// request in particular.
    fn notified(&self, message: Message) {
        if message.method() == Some(PROGRESS)
            && let Some(token) = progress_token(&message)
            && self.inbox.notify(token, message.clone())
        {
            return;
        }
        if self.events.try_send((self.key.clone(), ServerEvent::Notification(message))).is_err() {
            tracing::debug!(server = %self.wire.server, "dropped a notification: too many wait");
        }
    }
}

fn progress_token(notification: &Message) -> Option<u64> {
    let fields = Fields::find(notification.payload()?, ["progressToken"]).ok()?;
    fields.raw(0)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_endpoint_stays_on_the_origin_of_its_stream() {
        let stream_url = Url::parse("https://mcp.example/v1/sse?key=1").unwrap();
        let at = |data: &'static str| {
            let event =
                Event { event: None, data: Bytes::from_static(data.as_bytes()), id: None, retry: None };
            endpoint_in(&stream_url, &event).map(|url| url.to_string())
        };
        assert_eq!(at("/message?sessionId=7").unwrap(), "https://mcp.example/message?sessionId=7");
        assert_eq!(at("message").unwrap(), "https://mcp.example/v1/message");
        assert_eq!(at("https://mcp.example:443/m").unwrap(), "https://mcp.example/m");
        for foreign in [
            "https://evil.example/m",
            "//evil.example/m",
            "http://mcp.example/m",
            "https://mcp.example:8443/m",
        ] {
            assert!(at(foreign).unwrap_err().to_string().contains("another origin"), "{foreign}");
        }
    }
}
