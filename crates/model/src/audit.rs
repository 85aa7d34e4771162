//! One line of the trail.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Decision, Principal, ProfileName, ServerName, Timestamp};

/// Who did what, through which server, with which result. Arguments and
/// results are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// A UUID of version 7: it sorts by time.
    pub id: Uuid,
    /// When the request arrived, in microseconds.
    pub at: Timestamp,
    /// The endpoint asked; none when the path named no profile that exists.
    pub profile: Option<ProfileName>,
    /// Who asked; none when no credential was good.
    pub caller: Option<Principal>,
    /// The id that the answer carries in `x-request-id` and the log in `request_id`.
    pub request_id: Uuid,
    /// The MCP method or API endpoint.
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<ServerName>,
    /// The server's own name of the tool or prompt, or the resource's URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// The name that the caller used, where it differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown_as: Option<String>,
    pub decision: Decision,
    pub outcome: Outcome,
    /// From arrival to the answer, in microseconds.
    pub duration_us: u64,
    pub sizes: Sizes,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// The server answered with a result.
    Ok,
    /// The server answered with a tool result that says `isError`.
    ToolError,
    /// The server answered with a JSON-RPC error of this code.
    Error { code: i64 },
    /// The server asked the caller for input first.
    InputRequired,
    /// The server could not be asked, or did not answer.
    Unreachable { detail: String },
    /// The caller took the request back, or went away.
    Cancelled,
    /// The hub refused it; no server was asked.
    Refused { detail: String },
}

/// Bytes of the request's parameters and of the answer's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sizes {
    pub request_bytes: u64,
    pub response_bytes: u64,
}
