//! The model gateway. No model requests are served yet: this crate marks the
//! place beside `mcp-hub`, with which it shares callers, limits and audit.
