//! What was asked, and what the one door said of it.

use serde::{Deserialize, Serialize};

use crate::ServerName;

/// One thing that a caller wants to do, by stable names: the server's id and
/// the server's own name of the thing, not the name shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The MCP method or API endpoint, such as `tools/call`.
    pub method: String,
    /// The server it goes to; none when it is refused before one is known.
    pub server: Option<ServerName>,
    /// The server's own name of the tool or prompt, or the resource's URI.
    pub target: Option<String>,
    /// The name that the caller used, where it differs.
    pub shown_as: Option<String>,
}

/// Whether something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Allow,
    Deny,
}

/// Why a decision fell as it did; the words are for the audit trail and `why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The profile selects it and the caller belongs to the profile.
    ProfileMember,
    /// No credential, or one that is unknown, expired or revoked.
    NotAuthenticated,
    /// The credential is bound to another profile.
    OtherProfile,
    /// The profile does not select it, or no such thing exists.
    NotInProfile,
    /// The profile is for others than the caller.
    NotMember,
    /// The access token lacks a scope that the tool needs.
    InsufficientScope,
    /// The request was malformed.
    BadRequest,
    /// Somebody named an address that the hub does not call.
    AddressNotOpen,
    /// Whoever asks proved what the endpoint wants: a password, a consent, a code, a secret.
    Proved,
    /// The role of whoever asks allows it.
    RoleAllows,
    /// The role of whoever asks does not allow it.
    RoleTooLow,
}

/// What policy said of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub effect: Effect,
    pub reason: Reason,
}

impl Decision {
    pub const fn allow(reason: Reason) -> Self {
        Self { effect: Effect::Allow, reason }
    }

    pub const fn deny(reason: Reason) -> Self {
        Self { effect: Effect::Deny, reason }
    }
}
