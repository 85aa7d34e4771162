//! Signing in on a device without a browser (RFC 8628).

pub(super) mod page;
pub(super) mod start;
mod user_code;
