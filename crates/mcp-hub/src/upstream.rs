//! Upstream servers: how a message reaches one and how its answer comes back.
//!
//! A [`Connection`] is one live link: a child process, a streamable HTTP
//! session, or an HTTP+SSE stream. It carries whole messages and knows nothing
//! of profiles, names or callers. Whoever sends through it shows a
//! [`Permit`]: there is no other way to an upstream.

pub mod handshake;
pub(crate) mod hop;
pub mod http;
mod limits;
mod owner;
mod pending;
pub mod pool;
pub mod sse;
pub mod stdio;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;
use trunkline_model::{Identity, ServerName};
use trunkline_profiles::Permit;

use crate::jsonrpc::{Fields, Kind, Message};

pub use limits::Limits;
pub use owner::Owner;

/// Ids of requests to upstream servers, and their progress tokens: one number
/// for both, never used twice in this process.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// The next id for a request to any upstream server.
pub fn next_id() -> u64 {
    LAST_ID.fetch_add(1, Ordering::Relaxed) + 1
}

/// One request, ready for the wire.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// From [`next_id`]; stands in `body` as `id`, and as `_meta.progressToken` where progress is wanted.
    pub id: u64,
    pub method: String,
    /// The whole JSON-RPC message.
    pub body: Bytes,
    /// What the `Mcp-Name` header says to a modern HTTP server: the tool's or prompt's name, or the URI.
    pub name: Option<String>,
    /// `Mcp-Param-*` headers for a modern HTTP server.
    pub param_headers: Vec<(String, String)>,
}

/// Which live instance of a server: who shares it is the server's `instances`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceKey {
    pub server: ServerName,
    pub scope: Scope,
}

/// Whom an instance serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Everybody,
    Identity(Identity, Offer),
    Session(Identity, uuid::Uuid, Offer),
}

impl Scope {
    /// Whether it is the hub that asks, for itself.
    pub(crate) fn is_of_hub(&self) -> bool {
        matches!(self, Self::Identity(identity, _) if *identity == Identity::hub())
    }

    /// Whom it serves; none when it is everybody.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Everybody => None,
            Self::Identity(identity, _) | Self::Session(identity, ..) => Some(identity),
        }
    }

    /// What the server is told that it may ask for. Whom everybody shares may
    /// ask nobody: it could not be known who answers.
    pub(crate) fn offer(&self) -> &str {
        match self {
            Self::Everybody => Offer::NOTHING,
            Self::Identity(_, offer) | Self::Session(_, _, offer) => offer.as_str(),
        }
    }

    /// Whether the server may ask nothing.
    pub(crate) fn offers_nothing(&self) -> bool {
        self.offer() == Offer::NOTHING
    }
}

/// What clients can be asked for, as they declared it: the capabilities that a
/// legacy server is told of once and for all when its link is made, so that
/// clients that can do different things do not share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offer(Arc<str>);

impl Offer {
    const NOTHING: &str = "{}";

    pub(crate) fn new(capabilities: &str) -> Self {
        Self(capabilities.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self.0 == *Self::NOTHING
    }
}

impl Default for Offer {
    /// Nothing may be asked.
    fn default() -> Self {
        Self::new(Self::NOTHING)
    }
}

/// Which era a connection speaks, found or pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28 and later.
    Modern,
    /// 2025-11-25 and older.
    Legacy,
}

/// What a server said of itself when the link was made.
#[derive(Debug, Clone)]
pub struct Greeting {
    pub era: Era,
    pub protocol_version: String,
    /// The `capabilities` object as the server wrote it.
    pub capabilities: Bytes,
    /// The `serverInfo` object as the server wrote it, when it gave one.
    pub server_info: Option<Bytes>,
    /// The `instructions` text as a JSON string, when it gave one.
    pub instructions: Option<Bytes>,
}

impl Greeting {
    /// What the server declares under a name, as raw JSON.
    pub(crate) fn capability(&self, name: &'static str) -> Option<&str> {
        Fields::find(std::str::from_utf8(&self.capabilities).ok()?, [name]).ok()?.raw(0)
    }

    pub(crate) fn has_capability(&self, name: &'static str) -> bool {
        self.capability(name).is_some()
    }

    /// Whether the server declares the extension (2026-07-28, extensions).
    pub(crate) fn has_extension(&self, extension: &'static str) -> bool {
        let extensions = self.capability("extensions");
        extensions
            .is_some_and(|raw| Fields::find(raw, [extension]).is_ok_and(|fields| fields.raw(0).is_some()))
    }
}

/// What arrives without having been asked for.
#[derive(Debug, Clone)]
pub enum ServerEvent {
    /// A notification that belongs to no request in flight.
    Notification(Message),
    /// A request of the server that belongs to no request in flight, and where
    /// its answer goes.
    Question(Message, Reply),
    /// The link ended; requests in flight have failed already.
    Closed { reason: String },
}

/// Where a connection puts [`ServerEvent`]s. When the queue is full the
/// connection drops notifications rather than wait.
pub type Events = mpsc::Sender<(InstanceKey, ServerEvent)>;

/// Tells of a question that belongs to no request in flight. Gives the answer
/// when there is one at once: to a ping, or a refusal when too many events wait.
fn ask_aside(events: &Events, key: InstanceKey, question: &Message, reply: Reply) -> Option<Bytes> {
    let told = question.method() != Some("ping")
        && events.try_send((key, ServerEvent::Question(question.clone(), reply))).is_ok();
    (!told).then(|| http::reply_to(question))
}

/// One exchange: a request and all that comes back for it.
#[derive(Debug)]
pub enum Exchange {
    /// The answer came at once, nothing before it.
    Done(Message),
    /// Something came before the answer, or the answer is still to come.
    Open(OpenExchange),
}

/// Sends the answer to something that a server asked in the course of an exchange.
#[derive(Clone)]
pub struct Reply(Arc<dyn Fn(Bytes) + Send + Sync>);

impl Reply {
    pub(crate) fn new(send: impl Fn(Bytes) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    /// Answers a request of the server that nobody else will: a ping with a
    /// pong, all else with a refusal, so that it does not wait.
    pub(crate) fn refuse(&self, question: &Message) {
        self.send(http::reply_to(question));
    }

    /// Sends a whole JSON-RPC answer; a server that has gone gets none.
    pub(crate) fn send(&self, answer: Bytes) {
        (self.0)(answer);
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Reply")
    }
}

impl Exchange {
    /// The answer to a request of the hub's own, which needs nothing of what
    /// comes before it: nobody is there who could answer the server's questions.
    pub(crate) async fn into_answer(self) -> Result<Message, UpstreamError> {
        let mut open = match self {
            Self::Done(answer) => return Ok(answer),
            Self::Open(open) => open,
        };
        loop {
            let message = open.next().await?;
            match message.kind() {
                Kind::Result | Kind::Error => return Ok(message),
                Kind::Request => open.reply().refuse(&message),
                Kind::Notification => {}
            }
        }
    }
}

/// An exchange under way. Dropping it before the answer cancels the request:
/// `notifications/cancelled` on stdio and legacy links, closing the stream on
/// a modern HTTP link.
#[derive(Debug)]
pub struct OpenExchange {
    messages: mpsc::Receiver<Result<Message, UpstreamError>>,
    reply: Reply,
    /// Sends the cancellation when the exchange is dropped before its answer.
    cancel: CancelOnDrop,
}

impl OpenExchange {
    /// For connections: `messages` yields notifications and what the server
    /// asks, then the one answer (or error); `cancel` runs on drop unless the
    /// answer was taken.
    pub fn new(
        messages: mpsc::Receiver<Result<Message, UpstreamError>>,
        reply: Reply,
        cancel: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self { messages, reply, cancel: CancelOnDrop(Some(Box::new(cancel))) }
    }

    /// How to answer what the server asks.
    pub(crate) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The next message: notifications and requests of the server, then
    /// exactly one result or error.
    ///
    /// # Errors
    /// [`UpstreamError`] when the link broke before the answer.
    pub async fn next(&mut self) -> Result<Message, UpstreamError> {
        match self.messages.recv().await {
            Some(message) => {
                if !matches!(&message, Ok(message) if message.method().is_some()) {
                    self.cancel.0 = None;
                }
                message
            }
            None => {
                Err(UpstreamError::Closed { reason: "the connection ended before the answer".to_owned() })
            }
        }
    }
}

struct CancelOnDrop(Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for CancelOnDrop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CancelOnDrop")
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel();
        }
    }
}

/// Why an upstream server did not answer. Whose fault it is, and whether the
/// request may have been carried out, are different questions.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// The child could not be started or the address not be reached; nothing was executed.
    #[error("server {server} cannot be reached: {reason}")]
    Unreachable { server: ServerName, reason: String },
    /// The server was started or reached and did not complete the handshake; nothing was executed.
    #[error("server {server} did not complete the MCP handshake: {reason}")]
    Handshake { server: ServerName, reason: String },
    /// The server wants a credential that the hub does not have.
    #[error("server {server} needs sign-in: {reason}{}", at(link.as_deref()))]
    NeedsConsent {
        server: ServerName,
        reason: String,
        /// Where a person connects it; none where nobody can.
        link: Option<String>,
    },
    /// The server no longer knows our session; nothing was executed.
    #[error("the server has forgotten the session")]
    SessionLost,
    /// The link broke while the request was in flight; it may have been executed.
    #[error("the connection to the server was lost: {reason}")]
    Closed { reason: String },
    /// The server answered with something that is not MCP.
    #[error("the server answered with something that is not MCP: {reason}")]
    Protocol { reason: String },
    /// The answer is larger than the hub takes.
    #[error("the server's answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    /// Too many requests wait for this server.
    #[error("the server is busy: {limit} requests wait for it")]
    Busy { limit: usize },
    /// No answer in time.
    #[error("the server did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
}

impl UpstreamError {
    /// Where a person connects the server, if that is what it waits for.
    pub(crate) fn connect_at(&self) -> Option<&str> {
        if let Self::NeedsConsent { link, .. } = self { link.as_deref() } else { None }
    }
}

/// Where a person can do something about it, in words.
fn at(link: Option<&str>) -> String {
    link.map(|link| format!("; connect it at {link}")).unwrap_or_default()
}

/// Bounds how long something asked of a server may take.
pub(crate) async fn within<T>(
    patience: Duration,
    asking: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    match tokio::time::timeout(patience, asking).await {
        Ok(asked) => asked,
        Err(_) => Err(UpstreamError::TimedOut { seconds: patience.as_secs() }),
    }
}

/// One live link to one instance of a server.
#[derive(Debug, Clone)]
pub enum Connection {
    /// A child process.
    Stdio(Arc<stdio::StdioConnection>),
    /// Streamable HTTP, in either era.
    Http(Arc<http::HttpConnection>),
    /// HTTP+SSE of 2024-11-05.
    Sse(Arc<sse::SseConnection>),
}

impl Connection {
    pub fn greeting(&self) -> &Greeting {
        match self {
            Self::Stdio(connection) => connection.greeting(),
            Self::Http(connection) => connection.greeting(),
            Self::Sse(connection) => connection.greeting(),
        }
    }

    /// Whether the link has ended, so that no request can be sent over it. A
    /// streamable HTTP session may end without a sign: its next request tells.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Stdio(connection) => connection.is_closed(),
            Self::Http(connection) => connection.is_closed(),
            Self::Sse(connection) => connection.is_closed(),
        }
    }

    /// Whether it is a session that the server knows from others, over HTTP.
    /// What a server keeps for it belongs to whomever it serves.
    pub fn has_session(&self) -> bool {
        match self {
            Self::Stdio(_) => false,
            Self::Http(connection) => connection.has_session(),
            Self::Sse(_) => true,
        }
    }

    /// Ends the link and returns once a child has been reaped. Links over HTTP
    /// end when their last owner drops them.
    pub async fn close(&self, reason: &str) {
        match self {
            Self::Stdio(connection) => connection.stop(reason).await,
            Self::Http(_) | Self::Sse(_) => {}
        }
    }

    /// Sends a request. Returns as soon as the answer is there, or the first
    /// sign that it comes as a stream.
    ///
    /// # Errors
    /// [`UpstreamError`] says whether the request may have been executed.
    pub async fn call(&self, permit: &Permit, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        match self {
            Self::Stdio(connection) => connection.call(permit, outgoing).await,
            Self::Http(connection) => connection.call(permit, outgoing).await,
            Self::Sse(connection) => connection.call(permit, outgoing).await,
        }
    }

    /// Sends a notification; it has no answer.
    ///
    /// # Errors
    /// [`UpstreamError`] when it could not be sent.
    pub async fn notify(&self, permit: &Permit, body: Bytes) -> Result<(), UpstreamError> {
        match self {
            Self::Stdio(connection) => connection.notify(permit, body).await,
            Self::Http(connection) => connection.notify(permit, body).await,
            Self::Sse(connection) => connection.notify(permit, body).await,
        }
    }
}
