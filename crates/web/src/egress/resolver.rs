//! Names resolve to public addresses only.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::is_public;

pub(super) const NOT_PUBLIC: &str = "its address is not on the public internet";

/// Every address of the name is a private one.
#[derive(Debug, Error)]
#[error("{NOT_PUBLIC}")]
pub(super) struct NotPublic;

/// The system's resolver, without what [`is_public`] refuses. The connector
/// connects to what this returns, so a name cannot change its mind between
/// the check and the connection.
#[derive(Debug)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(public_of(found)?.into_iter()) as Addrs)
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
