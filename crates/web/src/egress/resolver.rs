//! Names resolve to public addresses only.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower::Service;

use super::address::is_public;

pub(super) const NOT_PUBLIC: &str = "its address is not on the public internet";

/// Every address of the name is a private one.
#[derive(Debug, Error)]
#[error("{NOT_PUBLIC}")]
pub(super) struct NotPublic;

/// The system's resolver; where only public addresses may be reached, without
/// what [`is_public`] refuses. The connector connects to what this returns, so
/// a name cannot change its mind between the check and the connection.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) only_public: bool,
}

type Found = Pin<Box<dyn Future<Output = Result<vec::IntoIter<SocketAddr>, BoxError>> + Send>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Found;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Found {
        let only_public = self.only_public;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = if only_public { public_of(found)? } else { found.collect() };
            Ok(addresses.into_iter())
        })
    }
}

fn public_of(found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
    let public: Vec<_> = found.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() { Err(NotPublic) } else { Ok(public) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_of_a_name_are_left_out() {
        let found = ["127.0.0.1:0", "1.1.1.1:0", "[fe80::1]:0"].map(|text| text.parse().expect("an address"));
        assert_eq!(public_of(found.into_iter()).expect("one"), ["1.1.1.1:0".parse().expect("an address")]);
        assert!(public_of(found.into_iter().take(1)).is_err());
    }
}
