//! The session of the eras before 2026-07-28, as the answer to `initialize`
//! made it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::modern::PROTOCOL_VERSION;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// What requests of a session carry.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// None before `initialize`, and for a server without sessions.
    pub(super) id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    /// The client's `initialize`, to begin again when the hub has forgotten the session.
    pub(super) initialize: Option<Bytes>,
}

impl Session {
    /// The session that `answer` to the client's `initialize` opens, where
    /// `headers` are those of the HTTP answer.
    pub(super) fn opened(initialize: Bytes, headers: &HeaderMap, answer: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let version = answer.pointer("/result/protocolVersion")?.as_str()?;
        Some(Self {
            id: headers.get(&SESSION_ID).cloned(),
            version: HeaderValue::try_from(version).ok(),
            initialize: Some(initialize),
        })
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
        }
        if let Some(version) = &self.version {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
    }
}
