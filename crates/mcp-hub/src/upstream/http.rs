//! Streamable HTTP in either era (2026-07-28 and 2025-11-25, basic/transports).

mod answer;
mod answers;
mod asking;
mod authorized;
mod event_stream;
mod exchange;
mod failure;
mod headers;
mod listen;
mod negotiate;
mod reply;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::task::AbortHandle;
use trunkline_model::{EraPin, HttpEndpoint};
use trunkline_oauth::client::Credential;
use trunkline_profiles::Permit;
use trunkline_web::Egress;

use super::pending::{TASK_RESULT, may_ask};
use super::{Connection, Era, Events, Exchange, Greeting, InstanceKey, Limits, Outgoing, UpstreamError};

use asking::Asking;

pub(super) use answer::MediaType;
pub(super) use event_stream::EventStream;
pub(super) use exchange::{cancel, reply_over};
pub(super) use failure::Failure;
#[cfg(feature = "fuzzing")]
pub(crate) use headers::encode as encode_header;
pub(super) use listen::{ACKNOWLEDGED, subscription};
pub(super) use reply::reply_to;
pub(super) use wire::Wire;

/// Everything a link to a server behind a URL is made from.
#[derive(Debug, Clone)]
pub struct Link {
    pub key: InstanceKey,
    pub endpoint: HttpEndpoint,
    pub era: EraPin,
    pub events: Events,
    pub egress: Egress,
    pub limits: Limits,
    /// From an authorization server; none where the endpoint's own is all there is.
    pub credential: Option<Credential>,
}

/// Makes a link: finds the server's era and transport unless they are pinned
/// (2026-07-28, basic/versioning), and opens the stream on which the server
/// says what changes. The caller bounds it in time.
///
/// # Errors
/// [`UpstreamError::Unreachable`], [`UpstreamError::NeedsConsent`] or
/// [`UpstreamError::Handshake`]; no tool has run.
pub async fn connect(link: Link) -> Result<Connection, UpstreamError> {
    negotiate::negotiate(link).await
}

/// A link to a server that speaks streamable HTTP.
///
/// Dropping it ends a legacy session with DELETE and closes its streams.
#[derive(Debug)]
pub struct HttpConnection {
    wire: Arc<Wire>,
    /// Where a legacy server may ask the session's client something.
    asking: Option<Arc<Asking>>,
    greeting: Greeting,
    listener: Option<AbortHandle>,
    /// The server has said that it has forgotten the session.
    forgotten: Arc<AtomicBool>,
}

impl HttpConnection {
    /// Takes over a completed handshake and opens the stream of events.
    fn open(wire: Wire, greeting: Greeting, key: InstanceKey, events: Events) -> Self {
        let wire = Arc::new(wire);
        let may_ask = greeting.era == Era::Legacy && !key.scope.offers_nothing();
        let asking = may_ask.then(Arc::default);
        let forgotten = Arc::new(AtomicBool::new(false));
        let listener = listen::start(&wire, asking.as_ref(), &greeting, key, events, &forgotten);
        Self { wire, asking, greeting, listener, forgotten }
    }

    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether the server gave the link a session of its own.
    pub fn has_session(&self) -> bool {
        self.wire.has_session()
    }

    /// Whether the server is known to have forgotten the session; the next
    /// request may be the first to learn of it.
    pub fn is_closed(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Sends a request; an answer that is one JSON body comes back without a
    /// task or a queue.
    ///
    /// # Errors
    /// [`UpstreamError`] says whether the request may have been executed.
    pub async fn call(&self, _permit: &Permit, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        self.exchange(outgoing).await
    }

    async fn exchange(&self, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        match &self.asking {
            Some(asking) if may_ask(&outgoing.method) || outgoing.method == TASK_RESULT => {
                Box::pin(asking::run(&self.wire, asking, outgoing)).await
            }
            _ => exchange::run(&self.wire, outgoing).await,
        }
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// [`UpstreamError`] when the server did not accept it.
    pub async fn notify(&self, _permit: &Permit, body: Bytes) -> Result<(), UpstreamError> {
        self.wire.notify(body).await.map_err(|failure| failure.of_call(&self.wire))
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        if self.wire.has_session()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let wire = Arc::clone(&self.wire);
            runtime.spawn(async move { wire.end_session().await });
        }
    }
}
