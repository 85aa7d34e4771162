//! HTTP+SSE (2024-11-05, basic/transports): one stream from the server, and an
//! address, told on that stream, that takes messages by POST.

mod inbox;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::AbortHandle;
use trunkline_profiles::Permit;

use super::http::{Failure, Link, Wire, cancel, reply_over};
use super::{Connection, Exchange, Greeting, OpenExchange, Outgoing, UpstreamError, handshake, next_id};
use inbox::Inbox;

/// A link to a server that speaks HTTP+SSE. Dropping it closes the stream.
#[derive(Debug)]
pub struct SseConnection {
    wire: Arc<Wire>,
    inbox: Arc<Inbox>,
    greeting: Greeting,
    reader: StopReader,
}

#[derive(Debug)]
struct StopReader(AbortHandle);

impl Drop for StopReader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the stream and completes the handshake over it.
pub(super) async fn connect(link: Link, wire: Wire) -> Result<Connection, UpstreamError> {
    let opened = stream::open(&wire).await.map_err(|failure| failure.of_handshake(&wire))?;
    let wire = wire.clone().at(&opened.endpoint).map_err(|failure| failure.of_handshake(&wire))?;
    let wire = Arc::new(wire);
    let inbox = Arc::new(Inbox::default());
    let offer = link.key.scope.offer().to_owned();
    let reader = stream::Reader {
        wire: Arc::clone(&wire),
        inbox: Arc::clone(&inbox),
        key: link.key,
        events: link.events,
    };
    let reader = StopReader(tokio::spawn(reader.run(opened.stream)).abort_handle());
    let id = next_id();
    let asked = send(&wire, &inbox, id, handshake::initialize(id, &offer)).await;
    let asked = asked.map(Exchange::Open).map_err(as_handshake(&wire))?;
    let answer = asked.into_answer().await.map_err(as_handshake(&wire))?;
    let greeting = handshake::read_initialize(&answer).map_err(|refusal| refused(&wire, refusal.reason))?;
    let accepted = wire.notify(handshake::initialized()).await;
    accepted.map_err(|failure| failure.of_handshake(&wire))?;
    Ok(Connection::Sse(Arc::new(SseConnection { wire, inbox, greeting, reader })))
}

impl SseConnection {
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether the stream has ended.
    pub fn is_closed(&self) -> bool {
        self.reader.0.is_finished()
    }

    /// Sends a request; its answer comes over the stream.
    ///
    /// # Errors
    /// [`UpstreamError`] says whether the request may have been executed.
    pub async fn call(&self, _permit: &Permit, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        send(&self.wire, &self.inbox, outgoing.id, outgoing.body).await.map(Exchange::Open)
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// [`UpstreamError`] when the server did not accept it.
    pub async fn notify(&self, _permit: &Permit, body: Bytes) -> Result<(), UpstreamError> {
        self.wire.notify(body).await.map_err(|failure| failure.of_call(&self.wire))
    }
}

/// POSTs a request and takes what the stream brings for it.
async fn send(
    wire: &Arc<Wire>,
    inbox: &Arc<Inbox>,
    id: u64,
    body: Bytes,
) -> Result<OpenExchange, UpstreamError> {
    let messages = inbox.expect(id)?;
    let (cancelled_wire, cancelled_inbox) = (Arc::clone(wire), Arc::clone(inbox));
    let exchange = OpenExchange::new(messages, reply_over(wire), move || {
        if cancelled_inbox.forget(id) {
            cancel(&cancelled_wire, id);
        }
    });
    match wire.notify(body).await {
        Ok(()) => Ok(exchange),
        Err(failure) => {
            inbox.forget(id);
            Err(match failure {
                Failure::Status { status, .. } if status == ::http::StatusCode::NOT_FOUND => {
                    UpstreamError::SessionLost
                }
                failure => failure.of_call(wire),
            })
        }
    }
}

fn as_handshake(wire: &Wire) -> impl Fn(UpstreamError) -> UpstreamError {
    |error| match error {
        UpstreamError::Unreachable { .. } | UpstreamError::NeedsConsent { .. } => error,
        other => refused(wire, other.to_string()),
    }
}

fn refused(wire: &Wire, reason: String) -> UpstreamError {
    UpstreamError::Handshake { server: wire.server.clone(), reason }
}
