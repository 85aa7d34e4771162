//! `host[:port]`, read strictly: what two readers could take differently is
//! not a host.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port. Without a port, an allowed name covers all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<T> {
    host: T,
    port: Option<u16>,
}

impl<'a> Authority<&'a str> {
    /// None for user information, an IPv6 zone, an empty or impossible port,
    /// and every character that no host name has.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = if text.starts_with('[') {
            let end = text.find(']')?;
            text[1..end].parse::<Ipv6Addr>().ok()?;
            (&text[..=end], &text[end + 1..])
        } else {
            let end = text.find(':').unwrap_or(text.len());
            if end == 0 || !text[..end].bytes().all(is_name_byte) {
                return None;
            }
            text.split_at(end)
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if port.is_empty() => None,
            None => return None,
        };
        Some(Self { host, port })
    }

    pub(super) fn or_port(self, port: u16) -> Self {
        Self { port: self.port.or(Some(port)), ..self }
    }

    /// `localhost` itself or a loopback address in its usual form: names
    /// below it, and other spellings of the address, can lead elsewhere.
    pub(super) fn is_loopback(&self) -> bool {
        if let Some(literal) = self.host.strip_prefix('[') {
            return literal
                .trim_end_matches(']')
                .parse::<Ipv6Addr>()
                .is_ok_and(|address| address.is_loopback());
        }
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn to_owned(self) -> Authority<String> {
        Authority { host: self.host.to_ascii_lowercase(), port: self.port }
    }
}

impl Authority<String> {
    /// Whether `asked` is this host, on this port where one is set.
    pub(super) fn covers(&self, asked: &Authority<&str>) -> bool {
        self.host.eq_ignore_ascii_case(asked.host) && (self.port.is_none() || self.port == asked.port)
    }

    pub(super) fn with_any_port(self) -> Self {
        Self { port: None, ..self }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Digits only: `u16::from_str` would take a sign too.
fn parse_port(digits: &str) -> Option<u16> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}
