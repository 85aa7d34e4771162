//! JSON-RPC 2.0 messages as MCP uses them, kept as the bytes that arrived.
//!
//! A [`Message`] knows where its parts stand in those bytes; nothing is
//! rebuilt that need not change. One parse serves authorization, routing and
//! audit, so that no two parsers can disagree.

mod fields;
mod message;
mod splice;

pub(crate) use fields::unquote;
pub use fields::{FieldFault, Fields, may_have_meta};
pub use message::{Kind, Message, ParseFault};
pub use splice::{cut, member, splice, splice_into, text};

/// Codes of JSON-RPC 2.0 section 5.1 and of the MCP specification.
pub mod code {
    pub const PARSE_ERROR: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL_ERROR: i64 = -32603;
    /// What servers of the legacy era answer for "no such resource" (2025-11-25, resources).
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// A page must be opened first (2025-11-25, client/elicitation).
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// A header and the body disagree (2026-07-28, basic).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a capability that its client did not declare (2026-07-28, basic).
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// The protocol version asked for is not spoken here (2026-07-28, basic).
    pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
}

/// Keys of `_meta` that the specification of 2026-07-28 reserves (basic, `_meta`).
pub mod meta {
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
}
