//! Connections to plain HTTP servers, kept open between requests.
//!
//! HTTP/1.1 carries one request at a time (RFC 9112, section 9.3), so a
//! connection has no task of its own: whoever waits for an answer drives it,
//! and a request wakes no other task on its way out and back.

use std::collections::HashMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body::Frame;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::coop;
use tokio::time::Instant;
use tower::Service as _;

use super::connector::{Bounded, BoxError};
use super::resolver::Resolver;

/// Shorter than what common servers keep, so that we rarely meet a connection just being closed.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
pub(super) const IDLE_PER_ORIGIN: usize = 256;

type Connector = Bounded<HttpConnector<Resolver>>;

/// The origins that somebody holds a target of.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    connector: Connector,
    known: Arc<Mutex<HashMap<String, Weak<Origin>>>>,
}

/// One server and its idle connections.
pub(super) struct Origin {
    uri: Uri,
    connector: Connector,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The one used last at the end.
    connections: Vec<(Live, Instant)>,
    swept: bool,
}

/// An open connection.
pub(super) struct Live {
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended.
    connection: Option<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ExchangeError {
    #[error(transparent)]
    Connect(BoxError),
    #[error(transparent)]
    Http(hyper::Error),
}

impl Origins {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, known: Arc::default() }
    }

    /// The origin of `uri`, whose text is `name`.
    pub(super) fn origin(&self, name: &str, uri: &Uri) -> Arc<Origin> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = known.get(name).and_then(Weak::upgrade) {
            return origin;
        }
        known.retain(|_, origin| origin.strong_count() > 0);
        let origin =
            Arc::new(Origin { uri: uri.clone(), connector: self.connector.clone(), idle: Mutex::default() });
        known.insert(name.to_owned(), Arc::downgrade(&origin));
        origin
    }
}

impl Origin {
    /// Sends `request` and waits for the head of its answer. A connection that
    /// the server closed while it was idle gives the request back unsent, and
    /// another one takes it.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(http::Response<Incoming>, Live), ExchangeError> {
        loop {
            let kept = self.take();
            let was_kept = kept.is_some();
            let mut live = match kept {
                Some(live) => live,
                None => Box::pin(self.connect()).await?,
            };
            match live.exchange(request).await {
                Ok(response) => return Ok((response, live)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    _ => return Err(ExchangeError::Http(error.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Live, ExchangeError> {
        let stream = self.connector.clone().call(self.uri.clone()).await.map_err(ExchangeError::Connect)?;
        let (sender, connection) = handshake(stream).await.map_err(ExchangeError::Http)?;
        Ok(Live { sender, connection: Some(Box::new(connection)) })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Live> {
        let (live, since) = self.idle().connections.pop()?;
        (since.elapsed() < IDLE_TIMEOUT).then_some(live)
    }

    /// Keeps a connection whose answer has been read, when it takes another request.
    pub(super) fn keep(self: &Arc<Self>, mut live: Live) {
        if !live.takes_another() {
            return;
        }
        let mut idle = self.idle();
        if idle.connections.len() >= IDLE_PER_ORIGIN {
            return;
        }
        idle.connections.push((live, Instant::now()));
        if !std::mem::replace(&mut idle.swept, true) {
            drop(idle);
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes what has been idle for too long, for as long as anything is idle.
async fn sweep(origin: Weak<Origin>) {
    loop {
        tokio::time::sleep(IDLE_TIMEOUT).await;
        let Some(origin) = origin.upgrade() else { return };
        let mut idle = origin.idle();
        let old = idle.connections.partition_point(|(_, since)| since.elapsed() >= IDLE_TIMEOUT);
        let closed: Vec<_> = idle.connections.drain(..old).collect();
        idle.swept = !idle.connections.is_empty();
        let done = !idle.swept;
        drop(idle);
        drop(closed);
        if done {
            return;
        }
    }
}

impl Live {
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        // Only the connection brings the answer on, and only here: the answer
        // itself need wake nobody. It must not be put off either, so it takes
        // no part in the task's budget.
        let mut answer = pin!(coop::unconstrained(self.sender.try_send_request(request)));
        std::future::poll_fn(|context| {
            drive(&mut self.connection, context);
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Whether the last answer is done with. The connection may not have looked since its last byte.
    fn takes_another(&mut self) -> bool {
        if !self.sender.is_ready() {
            drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        }
        self.connection.is_some() && self.sender.is_ready()
    }

    /// The next piece of `body`, the body of the answer that this connection brings.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let quiet = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = http_body::Body::poll_frame(Pin::new(body), quiet) {
            return Poll::Ready(frame);
        }
        drive(&mut self.connection, context);
        http_body::Body::poll_frame(Pin::new(body), quiet)
    }
}

/// Reads and writes what can be. A connection that has ended is let go, which
/// ends whatever still waits for it.
fn drive(
    connection: &mut Option<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    context: &mut Context<'_>,
) {
    if let Some(open) = connection
        && Pin::new(&mut **open).poll(context).is_ready()
    {
        *connection = None;
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Origin")
            .field("uri", &self.uri)
            .field("idle", &self.idle().connections.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Live").field("open", &self.connection.is_some()).finish_non_exhaustive()
    }
}
