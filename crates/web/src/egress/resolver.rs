//! Names resolve to what may be reached.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use thiserror::Error;
use tower::Service;

use super::policy::OutboundPolicy;

pub(super) const NOT_PUBLIC: &str = "its address is not on the public internet";

/// No address of the name may be reached.
#[derive(Debug, Error)]
#[error("{NOT_PUBLIC}")]
pub(super) struct NotPublic;

/// The system's resolver, without the addresses that a policy does not admit. The connector connects to what this returns, so
/// a name cannot change its mind between the check and the connection.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    pub(super) reach: super::Reach,
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
        let reach = self.reach.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = match reach {
                Some(policy) => admitted(name.as_str(), found, &policy)?,
                None => found.collect(),
            };
            Ok(addresses.into_iter())
        })
    }
}

fn admitted(
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
    policy: &OutboundPolicy,
) -> Result<Vec<SocketAddr>, NotPublic> {
    let admitted: Vec<_> = found.filter(|address| policy.admits(name, address.ip())).collect();
    if admitted.is_empty() { Err(NotPublic) } else { Ok(admitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_of_a_name_are_left_out() {
        let found = ["127.0.0.1:0", "1.1.1.1:0", "[fe80::1]:0"].map(|text| text.parse().expect("an address"));
        let policy = OutboundPolicy::default();
        let all = admitted("x.example", found.into_iter(), &policy).expect("one");
        assert_eq!(all, ["1.1.1.1:0".parse().expect("an address")]);
        assert!(admitted("x.example", found.into_iter().take(1), &policy).is_err());
    }
}
