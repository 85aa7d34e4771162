//! The stream on which a server says what changes, without having been asked.
//!
//! Legacy servers send it in answer to a GET (2025-11-25, basic/transports),
//! modern ones in answer to `subscriptions/listen` (2026-07-28,
//! basic/patterns/subscriptions).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::task::AbortHandle;
use trunkline_web::egress::Response;
use trunkline_web::sse::Event;

use super::answer::MediaType;
use super::asking::Asking;
use super::failure::is_temporary;
use super::{EventStream, Failure, Wire, reply_over};
use crate::jsonrpc::{Fields, Kind, Message, meta};
use crate::upstream::handshake::{MODERN_VERSION, client_info};
use crate::upstream::{Era, Events, Greeting, InstanceKey, Outgoing, ServerEvent, ask_aside, next_id};

const LISTEN: &str = "subscriptions/listen";
pub(in crate::upstream) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// The first wait before a lost stream is opened again; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(1);

/// The lists that a server may announce changes of: its capability, the
/// filter of `subscriptions/listen`, and the notification.
const LISTS: [(&str, &str, &str); 3] = [
    ("tools", "toolsListChanged", "notifications/tools/list_changed"),
    ("prompts", "promptsListChanged", "notifications/prompts/list_changed"),
    ("resources", "resourcesListChanged", "notifications/resources/list_changed"),
];

/// Opens the stream in the background; `None` when a modern server announces
/// nothing. Sets `forgotten` when the server says that it has forgotten the session.
pub(super) fn start(
    wire: &Arc<Wire>,
    asking: Option<&Arc<Asking>>,
    greeting: &Greeting,
    key: InstanceKey,
    events: Events,
    forgotten: &Arc<AtomicBool>,
) -> Option<AbortHandle> {
    let announced = announced(&greeting.capabilities);
    if greeting.era == Era::Modern && announced.is_empty() {
        return None;
    }
    let (wire, asking, forgotten) = (Arc::clone(wire), asking.map(Arc::clone), Arc::clone(forgotten));
    let listener = Listener { wire, asking, key, events, announced, last_event_id: None, forgotten };
    Some(tokio::spawn(listener.run()).abort_handle())
}

/// The rows of [`LISTS`] whose changes the capabilities promise to announce.
fn announced(capabilities: &Bytes) -> Vec<usize> {
    let Ok(text) = std::str::from_utf8(capabilities) else { return Vec::new() };
    let Ok(fields) = Fields::find(text, LISTS.map(|(capability, ..)| capability)) else { return Vec::new() };
    let promises = |index: &usize| {
        let capability = fields.raw(*index).and_then(|raw| Fields::find(raw, ["listChanged"]).ok());
        capability.is_some_and(|capability| capability.raw(0) == Some("true"))
    };
    (0..LISTS.len()).filter(promises).collect()
}

struct Listener {
    wire: Arc<Wire>,
    /// Where the session's client can be asked something.
    asking: Option<Arc<Asking>>,
    key: InstanceKey,
    events: Events,
    announced: Vec<usize>,
    last_event_id: Option<String>,
    forgotten: Arc<AtomicBool>,
}

/// Why one stream ended.
enum End {
    /// It may be opened again, after the time that the server asked for.
    Lost { retry: Option<Duration>, was_open: bool },
    /// The server has no such stream.
    Absent,
    /// The server no longer knows the session.
    SessionLost,
}

impl Listener {
    async fn run(mut self) {
        let mut delay = FIRST_DELAY;
        let mut has_been_open = false;
        loop {
            match self.listen(has_been_open).await {
                End::Lost { retry, was_open } => {
                    if was_open {
                        has_been_open = true;
                        delay = FIRST_DELAY;
                    }
                    tokio::time::sleep(retry.unwrap_or(delay).min(LONGEST_DELAY)).await;
                    delay = (delay * 2).min(LONGEST_DELAY);
                }
                End::SessionLost if has_been_open => {
                    self.forgotten.store(true, Ordering::Release);
                    let reason = "the server has forgotten the session".to_owned();
                    let _ = self.events.send((self.key, ServerEvent::Closed { reason })).await;
                    return;
                }
                End::Absent | End::SessionLost => return,
            }
        }
    }

    /// Opens the stream once and reads it to its end.
    async fn listen(&mut self, again: bool) -> End {
        let opened = self.open().await;
        if let Some(asking) = &self.asking {
            asking.set_listening();
        }
        let response = match opened {
            Ok(response) => response,
            Err(failure) => return self.end_of(&failure),
        };
        let (status, media_type) = (response.status(), MediaType::of(response.headers()));
        if !status.is_success() {
            let failure = self.wire.refusal(response).await;
            return self.end_of(&failure);
        }
        if media_type != MediaType::EventStream {
            return End::Absent;
        }
        if again && self.last_event_id.is_none() {
            self.announce_all();
        }
        self.read(EventStream::new(response, self.wire.message_limit)).await
    }

    async fn open(&self) -> Result<Response, Failure> {
        if !self.wire.is_modern() {
            return self.wire.open_stream(self.last_event_id.as_deref()).await;
        }
        let id = next_id();
        let outgoing = Outgoing {
            id,
            method: LISTEN.to_owned(),
            body: listen_request(id, &self.announced),
            name: None,
            param_headers: Vec::new(),
        };
        self.wire.request(&outgoing).await
    }

    fn end_of(&self, failure: &Failure) -> End {
        tracing::debug!(server = %self.wire.server, reason = %failure, "the stream of events could not be opened");
        match failure {
            Failure::NotSent { .. } | Failure::Broken { .. } => End::Lost { retry: None, was_open: false },
            Failure::Status { status, .. }
                if is_temporary(*status) && *status != StatusCode::NOT_IMPLEMENTED =>
            {
                End::Lost { retry: None, was_open: false }
            }
            Failure::SessionLost => End::SessionLost,
            Failure::Status { .. }
            | Failure::SignIn { .. }
            | Failure::Redirected { .. }
            | Failure::NotMcp { .. }
            | Failure::TooLarge { .. } => End::Absent,
        }
    }

    async fn read(&mut self, mut stream: EventStream) -> End {
        while let Ok(Some(event)) = stream.next().await {
            if self.take(event).await.is_break() {
                break;
            }
        }
        if let Some(id) = stream.last_event_id().filter(|_| !self.wire.is_modern()) {
            self.last_event_id = Some(id.to_owned());
        }
        End::Lost { retry: stream.retry(), was_open: true }
    }

    /// Passes one message on; breaks when the server ends the subscription.
    async fn take(&self, event: Event) -> ControlFlow<()> {
        if event.data.is_empty() || event.event.is_some_and(|kind| kind != "message") {
            return ControlFlow::Continue(());
        }
        let Ok(message) = Message::parse_shallow(event.data) else {
            tracing::debug!(server = %self.wire.server, "dropped an event that is no JSON-RPC message");
            return ControlFlow::Continue(());
        };
        match message.kind() {
            Kind::Notification if message.method() == Some(ACKNOWLEDGED) => {}
            Kind::Notification => self.announce(message),
            Kind::Request if self.wire.is_modern() => {}
            Kind::Request => self.asked(message).await,
            Kind::Result | Kind::Error if self.wire.is_modern() => return ControlFlow::Break(()),
            Kind::Result | Kind::Error => {}
        }
        ControlFlow::Continue(())
    }

    /// The stream belongs to no request, but many servers ask here whatever a call needs.
    async fn asked(&self, question: Message) {
        let of_no_call = match &self.asking {
            Some(asking) if question.method() != Some("ping") => asking.ask(&self.wire, question).await,
            _ => Some(question),
        };
        let Some(question) = of_no_call else { return };
        let reply = reply_over(&self.wire);
        if let Some(answer) = ask_aside(&self.events, self.key.clone(), &question, reply) {
            self.wire.notify_aside("reply", answer).await;
        }
    }

    /// What changed while nobody listened is unknown: every list may have.
    fn announce_all(&self) {
        for index in &self.announced {
            let (.., notification) = LISTS[*index];
            let body = format!(r#"{{"jsonrpc":"2.0","method":"{notification}"}}"#);
            if let Ok(message) = Message::parse_shallow(body.into()) {
                self.announce(message);
            }
        }
    }

    fn announce(&self, message: Message) {
        if self.events.try_send((self.key.clone(), ServerEvent::Notification(message))).is_err() {
            tracing::debug!(server = %self.wire.server, "dropped a notification: too many wait");
        }
    }
}

/// The request for all that a modern server announces; none when it
/// announces nothing.
pub(in crate::upstream) fn subscription(id: u64, capabilities: &Bytes) -> Option<Bytes> {
    let announced = announced(capabilities);
    (!announced.is_empty()).then(|| listen_request(id, &announced))
}

fn listen_request(id: u64, announced: &[usize]) -> Bytes {
    let filter: serde_json::Map<_, _> =
        announced.iter().map(|index| (LISTS[*index].1.to_owned(), true.into())).collect();
    let request = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": LISTEN,
        "params": {
            "notifications": filter,
            "_meta": {
                meta::PROTOCOL_VERSION: MODERN_VERSION,
                meta::CLIENT_CAPABILITIES: {},
                meta::CLIENT_INFO: client_info(),
            },
        },
    });
    Bytes::from(request.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_that_the_capabilities_promise_are_listened_for() {
        let capabilities = br#"{"tools":{"listChanged":true},"prompts":{"listChanged":false},"resources":{"subscribe":true},"x":1}"#;
        assert_eq!(announced(&Bytes::from_static(capabilities)), [0]);
        assert!(announced(&Bytes::from_static(b"{}")).is_empty());
        assert!(announced(&Bytes::from_static(br#"{"tools":7}"#)).is_empty());
        let request = Message::parse(listen_request(9, &[0, 2])).unwrap();
        let payload = request.payload().unwrap();
        assert!(
            payload.starts_with(r#"{"notifications":{"toolsListChanged":true,"resourcesListChanged":true}"#),
            "{payload}"
        );
    }
}
