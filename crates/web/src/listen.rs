//! The listener: HTTP/1.1 and cleartext HTTP/2 over TCP or a Unix socket,
//! bounded, and drained when the process stops.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::Request;
use http::request::Parts;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;
use tracing::{debug, warn};

/// After a failed accept (out of descriptors, mostly) the loop rests this
/// long instead of turning as fast as it can.
const REST_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// What one listener allows its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to send a request's head; on HTTP/1.1 a
    /// connection idle for as long is closed too.
    pub header_read_timeout: Duration,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Bytes of a request's head.
    pub max_header_bytes: u32,
    /// Open connections; further clients wait in the kernel's queue.
    pub max_connections: usize,
    /// Requests under way on one HTTP/2 connection.
    pub max_streams: u32,
    /// How long a stopping listener waits for requests under way.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(15),
            max_headers: 100,
            max_header_bytes: 64 * 1024,
            max_connections: 16 * 1024,
            max_streams: 256,
            drain: Duration::from_secs(20),
        }
    }
}

/// The other end of a connection: an extension of each request, and an extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine that may open our Unix socket.
    Local,
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    /// Without a listener (the router called directly) the peer is local.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::Local))
    }
}

/// Serves `app` on `listener` until `stop` is cancelled and requests under
/// way have ended, or [`Limits::drain`] has passed.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, stop: CancellationToken) {
    accept_loop(listener, app, limits, stop).await;
}

/// As [`serve`], on a Unix socket. Who may connect is the socket file's mode.
pub async fn serve_unix(listener: UnixListener, app: Router, limits: Limits, stop: CancellationToken) {
    accept_loop(listener, app, limits, stop).await;
}

/// The two kinds of listener.
trait Listener: Send {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept_one(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept_one(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = self.accept().await?;
        // Small writes (an event, a JSON-RPC answer) go out at once.
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept_one(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _address) = self.accept().await?;
        Ok((stream, Peer::Local))
    }
}

async fn accept_loop<L: Listener>(listener: L, app: Router, limits: Limits, stop: CancellationToken) {
    let builder = Arc::new(connection_builder(&limits));
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    while let Some((stream, peer, place)) = next_connection(&listener, &places, &stop).await {
        let connection = Connection {
            builder: Arc::clone(&builder),
            app: app.clone(),
            peer,
            first_request_within: limits.header_read_timeout,
            stop: stop.child_token(),
            abort: abort.child_token(),
        };
        connections.spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "closing connections that did not end in time");
        abort.cancel();
        connections.wait().await;
    }
}

/// The next client, once there is a place for it; none when stopping.
async fn next_connection<L: Listener>(
    listener: &L,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(L::Stream, Peer, tokio::sync::OwnedSemaphorePermit)> {
    let place = stop.run_until_cancelled(Arc::clone(places).acquire_owned()).await?.ok()?;
    loop {
        match stop.run_until_cancelled(listener.accept_one()).await? {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) if is_clients_doing(&error) => debug!(%error, "a client left before it was accepted"),
            Err(error) => {
                warn!(%error, "accepting a connection failed");
                stop.run_until_cancelled(tokio::time::sleep(REST_AFTER_ACCEPT_ERROR)).await?;
            }
        }
    }
}

fn is_clients_doing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected
    )
}

fn connection_builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_headers(limits.max_headers)
        // hyper takes no less than 8 KiB; a head that does not fit is answered with 431.
        .max_buf_size(header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_header_bytes)
        .max_concurrent_streams(limits.max_streams)
        // A peer that vanished without a word gives its place back.
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

/// One connection, from accept to close.
struct Connection {
    builder: Arc<Builder<TokioExecutor>>,
    app: Router,
    peer: Peer,
    first_request_within: Duration,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Connection {
    async fn run<I>(self, stream: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seen = Arc::new(AtomicBool::new(false));
        let service = Requests { app: self.app, peer: self.peer, seen: Arc::clone(&seen) };
        let serving = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        // hyper's own timer starts only when it knows the protocol, which a client can put off for ever.
        let mut first_request = pin!(tokio::time::sleep(self.first_request_within));
        let mut stop = pin!(self.stop.cancelled());
        let mut abort = pin!(self.abort.cancelled());
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut serving => {
                    if let Err(error) = ended {
                        debug!(%error, "connection ended early");
                    }
                    return;
                }
                // What was heard from needs no watch any more.
                () = &mut first_request, if !seen.load(Ordering::Relaxed) => {
                    if !seen.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = &mut stop, if !stopping => {
                    stopping = true;
                    serving.as_mut().graceful_shutdown();
                }
                () = &mut abort, if stopping => return,
            }
        }
    }
}

/// Hands each request of one connection to the router, with its peer.
#[derive(Clone)]
struct Requests {
    app: Router,
    peer: Peer,
    seen: Arc<AtomicBool>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as tower::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.seen.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(self.peer);
        // A router is always ready: its `poll_ready` has nothing to wait for.
        self.app.clone().call(request)
    }
}

#[cfg(test)]
mod tests;
