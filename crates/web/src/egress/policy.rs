//! What an operator has opened to URLs that others name.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

use super::address::is_public;

/// Addresses and hosts inside that URLs of others may lead to. Empty: only
/// the public internet, and only by `https`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboundPolicy {
    hosts: BTreeSet<String>,
    networks: Vec<Network>,
}

/// An entry of `outbound.allow` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither a host name, an address, a network such as 10.1.0.0/16, `loopback` nor `private`")]
pub struct OutboundPolicyError(String);

/// An address, or the addresses with a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    length: u32,
}

/// RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// RFC 1918 and RFC 4193.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

impl OutboundPolicy {
    /// # Errors
    /// [`OutboundPolicyError`] names the entry that cannot be read.
    pub fn new<'a>(allow: impl IntoIterator<Item = &'a str>) -> Result<Self, OutboundPolicyError> {
        let mut policy = Self::default();
        for entry in allow {
            policy.open(entry)?;
        }
        Ok(policy)
    }

    /// Opens one more host, address or network.
    ///
    /// # Errors
    /// [`OutboundPolicyError`].
    pub fn open(&mut self, entry: &str) -> Result<(), OutboundPolicyError> {
        match entry {
            "loopback" => {
                self.hosts.insert("localhost".to_owned());
                self.networks.extend(LOOPBACK.iter().filter_map(|network| network.parse::<Network>().ok()));
            }
            "private" => {
                self.networks.extend(PRIVATE.iter().filter_map(|network| network.parse::<Network>().ok()));
            }
            _ => match entry.parse() {
                Ok(network) => self.networks.push(network),
                Err(()) => {
                    let host = Host::parse(entry).map_err(|_| OutboundPolicyError(entry.to_owned()))?;
                    let named = entry.contains(|character: char| character.is_ascii_alphabetic());
                    if !named || entry.contains('/') {
                        return Err(OutboundPolicyError(entry.to_owned()));
                    }
                    self.hosts.insert(host.to_string());
                }
            },
        }
        Ok(())
    }

    /// Opens the host of a URL that the operator has written.
    pub fn open_host_of(&mut self, url: &Url) {
        match url.host() {
            Some(Host::Domain(name)) => {
                self.hosts.insert(name.to_owned());
            }
            Some(Host::Ipv4(address)) => self.networks.push(Network { address: address.into(), length: 32 }),
            Some(Host::Ipv6(address)) => self.networks.push(Network { address: address.into(), length: 128 }),
            None => {}
        }
    }

    pub(super) fn opens_any(&self) -> bool {
        !self.hosts.is_empty() || !self.networks.is_empty()
    }

    /// Whether a name may lead to `address`.
    pub(super) fn admits(&self, name: &str, address: IpAddr) -> bool {
        self.hosts.contains(name) || self.admits_address(address)
    }

    pub(super) fn admits_address(&self, address: IpAddr) -> bool {
        is_public(address) || self.has_opened(address)
    }

    /// Whether the URL may be called without TLS: its host is the operator's.
    pub(super) fn admits_plain(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Domain(name)) => self.hosts.contains(name),
            Some(Host::Ipv4(address)) => self.has_opened(address.into()),
            Some(Host::Ipv6(address)) => self.has_opened(address.into()),
            None => false,
        }
    }

    fn has_opened(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.holds(address))
    }
}

impl Network {
    pub(crate) fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    /// An address, or an address and the length of its prefix.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(most);
        if length > most { Err(()) } else { Ok(Self { address, length }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str]) -> OutboundPolicy {
        OutboundPolicy::new(allow.iter().copied()).expect("a policy")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_is_opened_by_name_or_number_is_admitted_and_nothing_beside_it() {
        let policy = policy(&["10.1.0.0/16", "192.168.7.9", "idp.corp.example", "fd00::/8"]);
        for good in ["10.1.255.1", "192.168.7.9", "fd12::1", "1.1.1.1"] {
            assert!(policy.admits("x.example", address(good)), "{good}");
        }
        for bad in ["10.2.0.1", "192.168.7.8", "127.0.0.1", "169.254.169.254", "::ffff:10.1.0.1"] {
            assert!(!policy.admits("x.example", address(bad)), "{bad}");
        }
        assert!(policy.admits("idp.corp.example", address("127.0.0.1")));
        assert!(!OutboundPolicy::default().admits("localhost", address("127.0.0.1")));
    }

    #[test]
    fn plain_http_is_for_hosts_of_the_operator() {
        let plain = |policy: &OutboundPolicy, url: &str| policy.admits_plain(&url.parse().expect("a URL"));
        let loopback = policy(&["loopback"]);
        for good in ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"] {
            assert!(plain(&loopback, good), "{good}");
        }
        for bad in ["http://example.org/", "http://1.1.1.1/", "http://localhost.evil.example/"] {
            assert!(!plain(&loopback, bad), "{bad}");
        }
        let mut server = OutboundPolicy::default();
        server.open_host_of(&"http://10.0.0.7:8080/mcp".parse().expect("a URL"));
        assert!(plain(&server, "http://10.0.0.7/x") && !plain(&server, "http://10.0.0.8/x"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for bad in ["", "10.0.0.0/33", "1.2.3", "a/b", "http://x", "10.0.0.0/x"] {
            let error = OutboundPolicy::new([bad]).expect_err(bad);
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }
}
