//! Why a request over HTTP has no answer, and what that means to whom.

use http::StatusCode;
use thiserror::Error;
use trunkline_web::egress::{EgressError, Response};

use super::Wire;
use super::answer::media_type;
use crate::jsonrpc::Message;
use crate::upstream::UpstreamError;
use crate::upstream::handshake;

/// Why a request over HTTP has no answer that can be read. The text of a body
/// never stands in it, except the message of a JSON-RPC error.
#[derive(Debug, Error)]
pub(in crate::upstream) enum Failure {
    /// Nothing reached the server.
    #[error("{reason}")]
    NotSent { reason: String },
    /// The link broke after the request may have been read.
    #[error("{reason}")]
    Broken { reason: String },
    /// HTTP 401 or 403, with what the challenge asks for.
    #[error("{reason}")]
    SignIn {
        reason: String,
        /// Where a person connects the server.
        link: Option<String>,
    },
    /// The server no longer knows the session.
    #[error("the server has forgotten the session")]
    SessionLost,
    /// HTTP 3xx: a credential must not follow to where nobody configured it.
    #[error("the server redirects to {target} (HTTP {status}); configure that URL if it is the right one")]
    Redirected { status: StatusCode, target: String },
    /// Any other status that is no success, with the JSON-RPC error in its body.
    #[error("{}", describe(*status, media_type, error.as_deref()))]
    Status { status: StatusCode, media_type: String, error: Option<Box<Message>> },
    /// A success that is not MCP.
    #[error("{reason}")]
    NotMcp { reason: String },
    #[error("its answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
}

fn describe(status: StatusCode, media_type: &str, error: Option<&Message>) -> String {
    match error {
        Some(error) => format!("HTTP {}: {}", status.as_u16(), handshake::read_error(error).reason),
        None if media_type.is_empty() => format!("HTTP {} without a content type", status.as_u16()),
        None => format!("HTTP {} with content type {media_type}", status.as_u16()),
    }
}

impl Failure {
    /// A success with a body of a type that carries no message here.
    pub(in crate::upstream) fn unexpected(response: &Response) -> Self {
        Self::NotMcp { reason: describe(response.status(), media_type(response.headers()), None) }
    }

    /// What it means for a call on an open link.
    pub(in crate::upstream) fn of_call(self, wire: &Wire) -> UpstreamError {
        match self {
            Self::NotSent { reason } => UpstreamError::Unreachable { server: wire.server.clone(), reason },
            Self::Broken { reason } => UpstreamError::Closed { reason },
            Self::SignIn { reason, link } => {
                UpstreamError::NeedsConsent { server: wire.server.clone(), reason, link }
            }
            Self::SessionLost => UpstreamError::SessionLost,
            Self::TooLarge { limit } => UpstreamError::TooLarge { limit },
            Self::Redirected { .. } | Self::Status { .. } | Self::NotMcp { .. } => {
                UpstreamError::Protocol { reason: self.to_string() }
            }
        }
    }

    /// What it means while the link is being made: no tool has run.
    pub(in crate::upstream) fn of_handshake(self, wire: &Wire) -> UpstreamError {
        let server = wire.server.clone();
        let reason = self.to_string();
        match self {
            Self::SignIn { link, .. } => UpstreamError::NeedsConsent { server, reason, link },
            Self::NotSent { .. } | Self::Broken { .. } => UpstreamError::Unreachable { server, reason },
            Self::Status { status, .. } if is_temporary(status) => {
                UpstreamError::Unreachable { server, reason }
            }
            Self::Status { .. }
            | Self::Redirected { .. }
            | Self::SessionLost
            | Self::NotMcp { .. }
            | Self::TooLarge { .. } => UpstreamError::Handshake { server, reason },
        }
    }
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        let reason = error.to_string();
        match error {
            EgressError::TooLarge { limit, .. } => {
                Self::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) }
            }
            error if error.provably_not_sent() => Self::NotSent { reason },
            _ => Self::Broken { reason },
        }
    }
}

/// Whether the same request may succeed later.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}
