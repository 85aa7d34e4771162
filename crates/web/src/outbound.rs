//! Short exchanges with URLs that others name: metadata, registration, keys,
//! tokens, documents of clients. They go through [`Egress`]'s guard, follow no
//! redirect, and are bounded in size and time as a whole.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use thiserror::Error;
use url::Url;

use crate::egress::{Egress, EgressBuildError, EgressError, OutboundPolicy};

/// For the whole exchange, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer.
const ANSWER_BYTES: u64 = 256 * 1024;

/// Told of each refusal: whom was to be called, and why not.
type Witness = Box<dyn Fn(&str, &str) + Send + Sync>;

/// The client for such exchanges. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    egress: Arc<ArcSwap<Egress>>,
    witness: Arc<OnceLock<Witness>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outbound").field("egress", &self.egress).finish_non_exhaustive()
    }
}

/// There is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutboundError {
    /// The guard does not call this URL.
    #[error("{0}")]
    Refused(String),
    /// No connection: name, network or TLS. Nobody can have seen the request.
    #[error("{0}")]
    Unreachable(String),
    /// There was no whole answer in time; the other side may have acted.
    #[error("{target} did not answer within {} s", PATIENCE.as_secs())]
    TimedOut { target: String },
    /// The answer is too large.
    #[error("{0}")]
    TooLarge(String),
    /// The connection broke; the other side may have acted.
    #[error("{0}")]
    Broken(String),
}

impl Outbound {
    /// # Errors
    /// [`EgressBuildError`] when the process has no TLS provider or no root certificates.
    pub fn new(policy: OutboundPolicy) -> Result<Self, EgressBuildError> {
        let egress = Arc::new(ArcSwap::from_pointee(Egress::guarded(policy)?));
        Ok(Self { egress, witness: Arc::default() })
    }

    /// From here on somebody is told of each refusal, with the origin of the
    /// URL and the reason: the trail. There can be one for all clones.
    pub fn witnessed(&self, tell: impl Fn(&str, &str) + Send + Sync + 'static) {
        // Whoever came first stays.
        let _ = self.witness.set(Box::new(tell));
    }

    /// From here on another policy counts, for every clone.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the old one goes on.
    pub fn set_policy(&self, policy: OutboundPolicy) -> Result<(), EgressBuildError> {
        self.egress.store(Arc::new(Egress::guarded(policy)?));
        Ok(())
    }

    /// Whether there is a route to the public internet, or the operator has
    /// opened something inside. Nothing is sent to find out: a datagram socket
    /// that is connected only asks the system for the way.
    pub fn has_way_out(&self) -> bool {
        let leads_out = |from: SocketAddr, to: SocketAddr| {
            UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
        };
        // Of the networks for documentation (RFC 5737, RFC 3849), where nobody is.
        self.egress.load().has_opened_any()
            || leads_out((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(198, 51, 100, 1), 443).into())
            || leads_out(
                (Ipv6Addr::UNSPECIFIED, 0).into(),
                (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 443).into(),
            )
    }

    /// Sends `request`, whose URI is absolute, and reads the whole answer,
    /// whatever its status. A redirect is an answer like any other.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, OutboundError> {
        let (parts, body) = request.into_parts();
        let url: Url = parts
            .uri
            .to_string()
            .parse()
            .map_err(|_| OutboundError::Refused("the URL is not absolute".to_owned()))?;
        let outcome = self.exchange(&url, parts, body).await;
        if let (Err(OutboundError::Refused(why)), Some(tell)) = (&outcome, self.witness.get()) {
            tell(&url.origin().ascii_serialization(), why);
        }
        outcome
    }

    async fn exchange(
        &self,
        url: &Url,
        parts: http::request::Parts,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, OutboundError> {
        let egress = self.egress.load_full();
        let target = egress.target(url)?;
        let exchange = async {
            let body = (!body.is_empty()).then_some(body);
            let mut answer = egress.request(parts.method, &target, parts.headers, body).await?;
            let (status, headers) = (answer.status(), answer.take_headers());
            let mut response = http::Response::new(answer.bytes(ANSWER_BYTES).await?);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        };
        // On the heap: whoever waits for this holds it through a long exchange.
        match tokio::time::timeout(PATIENCE, Box::pin(exchange)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::TimedOut { target: url.origin().ascii_serialization() }),
        }
    }
}

impl From<EgressError> for OutboundError {
    fn from(error: EgressError) -> Self {
        let words = error.to_string();
        match error {
            EgressError::Refused { .. } => Self::Refused(words),
            EgressError::Unreachable { .. } => Self::Unreachable(words),
            EgressError::TooLarge { .. } => Self::TooLarge(words),
            EgressError::NoAnswer { .. } | EgressError::BrokenAnswer { .. } => Self::Broken(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn served(app: Router) -> Url {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(crate::serve(listener, app, crate::Limits::default(), CancellationToken::new()));
        format!("http://{address}/").parse().expect("a URL")
    }

    fn outbound(allow: &[&str]) -> Outbound {
        Outbound::new(OutboundPolicy::new(allow.iter().copied()).expect("a policy")).expect("a client")
    }

    fn get_of(url: &Url) -> http::Request<Bytes> {
        http::Request::get(url.as_str()).body(Bytes::new()).expect("a request")
    }

    #[tokio::test]
    async fn only_what_is_opened_is_called() {
        let url = served(Router::new().route("/", get(async || "inside"))).await;
        let (closed, told) = (outbound(&[]), Arc::new(Mutex::new(Vec::new())));
        let teller = Arc::clone(&told);
        closed.witnessed(move |origin, why| {
            teller.lock().expect("no panic").push(format!("{origin} {why}"));
        });
        let inside = url.join("/path?secret").expect("a URL");
        let error = closed.clone().send(get_of(&inside)).await.expect_err("refused");
        assert!(matches!(error, OutboundError::Refused(_)), "{error}");
        let told = told.lock().expect("no panic").join(";");
        assert!(told.starts_with("http://127.0.0.1:") && !told.contains("secret"), "{told}");
        let guard = outbound(&["loopback"]);
        assert_eq!(guard.send(get_of(&url)).await.expect("an answer").body(), "inside");
        guard.set_policy(OutboundPolicy::default()).expect("a client");
        assert!(guard.send(get_of(&url)).await.is_err(), "closed again");
    }

    #[tokio::test]
    async fn redirects_are_not_followed_and_size_is_bounded() {
        let away = get(async || (http::StatusCode::FOUND, [("location", "http://169.254.169.254/")]));
        let large = get(async || "x".repeat(300 * 1024));
        let url = served(Router::new().route("/", away).route("/large", large)).await;
        let guard = outbound(&["loopback"]);
        assert_eq!(guard.send(get_of(&url)).await.expect("an answer").status(), 302);
        let error = guard.send(get_of(&url.join("/large").expect("a URL"))).await.expect_err("too large");
        assert!(matches!(error, OutboundError::TooLarge(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_ends_is_given_up() {
        let url = served(Router::new().route("/", get(std::future::pending::<()>))).await;
        let error = outbound(&["loopback"]).send(get_of(&url)).await.expect_err("given up");
        assert!(matches!(error, OutboundError::TimedOut { .. }), "{error}");
    }
}
