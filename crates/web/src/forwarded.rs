//! Who is behind a reverse proxy: what it says of its client counts for those
//! proxies alone that the operator has named.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderMap, HeaderName};
use thiserror::Error;

use crate::Peer;
use crate::egress::Network;

/// Each proxy adds the address that it was called from at the end. `Forwarded`
/// (RFC 7239) is not read: a proxy that writes the one passes the other on as
/// its client wrote it.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Network]>);

/// An entry cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither an address nor a network such as 10.1.0.0/16")]
pub struct TrustedProxiesError(pub String);

impl TrustedProxies {
    /// # Errors
    /// [`TrustedProxiesError`] names the entry that cannot be read.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, TrustedProxiesError> {
        let read = |entry: &'a str| entry.parse().map_err(|()| TrustedProxiesError(entry.to_owned()));
        Ok(Self(entries.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Makes the [`Peer`] of `router`'s requests the client that a trusted
    /// proxy was called by.
    pub fn around(self, router: Router) -> Router {
        if self.0.is_empty() { router } else { router.layer(from_fn_with_state(self, look_behind)) }
    }

    /// The client: the last address that no trusted proxy has. Where something
    /// else stands on the way there, it is the peer itself, so that nobody
    /// gets a fresh count by writing nonsense.
    fn client_of(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        let Peer::Tcp(address) = peer else { return peer };
        if !self.holds(address.ip()) {
            return peer;
        }
        let mut lines = Vec::new();
        for line in headers.get_all(X_FORWARDED_FOR) {
            match line.to_str() {
                Ok(line) => lines.push(line),
                Err(_) => return peer,
            }
        }
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            match address_in(entry.trim()) {
                Some(client) if self.holds(client) => {}
                Some(client) => return Peer::Tcp(SocketAddr::new(client, 0)),
                None => return peer,
            }
        }
        peer
    }

    fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.holds(address))
    }
}

/// Some proxies write a port, and brackets around IPv6.
fn address_in(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

async fn look_behind(State(proxies): State<TrustedProxies>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let client = proxies.client_of(peer, request.headers());
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "127.0.0.1"]).expect("networks");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, line.parse().expect("a value"));
        }
        let peer = Peer::Tcp(SocketAddr::new(peer.parse().expect("an address"), 1));
        match proxies.client_of(peer, &headers) {
            Peer::Tcp(address) => address.ip().to_string(),
            Peer::Local => "local".to_owned(),
        }
    }

    #[test]
    fn a_trusted_proxy_says_who_called_it_and_nobody_else_does() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["203.0.113.7"] as &[&str], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["203.0.113.7:55555"], "203.0.113.7"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7, x"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, lines), expected, "{lines:?} from {peer}");
        }
        assert!(TrustedProxies::new(["proxy.example"]).is_err());
    }
}
