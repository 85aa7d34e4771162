//! What every request to a modern server says of this hop (2026-07-28, basic,
//! `_meta`).

use crate::jsonrpc::{meta, text};

use super::handshake;

/// The members of `_meta` that the modern era requires, as `"key":value`.
/// `client_info` is the caller's own, as raw JSON; the hub's when it gave none.
/// `capabilities` is what the caller can be asked for.
pub(crate) fn members(client_info: Option<&str>, capabilities: &str) -> [String; 3] {
    let info = client_info.map_or_else(|| handshake::client_info().to_string(), str::to_owned);
    [
        format!("{}:{}", text(meta::PROTOCOL_VERSION), text(handshake::MODERN_VERSION)),
        format!("{}:{capabilities}", text(meta::CLIENT_CAPABILITIES)),
        format!("{}:{info}", text(meta::CLIENT_INFO)),
    ]
}

/// A whole `_meta` object for a request of the hub's own.
pub(crate) fn own_meta() -> String {
    format!("{{{}}}", members(None, "{}").join(","))
}
