//! What the fuzz targets reach beyond the public interface.

use ::http::{HeaderMap, HeaderValue};

use crate::downstream::modern;
use crate::jsonrpc::Message;
use crate::upstream::http;

/// Checks the headers of a request of the modern era against its body.
///
/// # Errors
/// The JSON-RPC code of the refusal.
pub fn check_headers(headers: &HeaderMap, message: &Message) -> Result<(), i64> {
    modern::check(headers, message).map_err(|error| error.code)
}

/// `value` as the hub writes it into a header for a server.
pub fn encode_header(value: &str) -> HeaderValue {
    http::encode_header(value)
}
