//! Why there is no token (RFC 6749 section 5.2).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use thiserror::Error;
use trunkline_storage::StoreError;

use crate::server::client_auth::ClientAuthFault;
use crate::server::form::FormFault;
use crate::tokens::SigningError;

#[derive(Debug, Error)]
pub(in crate::server) enum TokenError {
    #[error("{0}")]
    Form(#[from] FormFault),
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    #[error("{0}")]
    Client(ClientAuthFault),
    #[error("the client may not use this grant type")]
    UnauthorizedClient,
    #[error("this hub does not know the grant type")]
    UnsupportedGrantType,
    /// The code, token or assertion is not good; why, in words.
    #[error("{0}")]
    Grant(&'static str),
    #[error("the scope is wider than what was granted")]
    Scope,
    #[error("resource must be the URL of a profile's endpoint on this hub that the user may use")]
    Target,
    /// RFC 8628 section 3.5.
    #[error("the user has not answered yet")]
    AuthorizationPending,
    #[error("wait five seconds between two requests")]
    SlowDown,
    #[error("the user said no")]
    AccessDenied,
    #[error("the code has expired; start again")]
    ExpiredToken,
    #[error("the hub cannot answer now; try again later")]
    Store(#[from] StoreError),
    #[error("the hub cannot sign a token")]
    Signing(#[from] SigningError),
}

impl From<ClientAuthFault> for TokenError {
    fn from(fault: ClientAuthFault) -> Self {
        match fault {
            ClientAuthFault::Unavailable(error) => Self::Store(error),
            fault => Self::Client(fault),
        }
    }
}

impl TokenError {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Form(_) | Self::Missing(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Client(_) => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::Grant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::Scope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::Target => (StatusCode::BAD_REQUEST, "invalid_target"),
            Self::AuthorizationPending => (StatusCode::BAD_REQUEST, "authorization_pending"),
            Self::SlowDown => (StatusCode::BAD_REQUEST, "slow_down"),
            Self::AccessDenied => (StatusCode::BAD_REQUEST, "access_denied"),
            Self::ExpiredToken => (StatusCode::BAD_REQUEST, "expired_token"),
            // Not an OAuth error code: clients must keep what they have and try again.
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Signing(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) => tracing::error!(%error, "a token could not be issued"),
            Self::Signing(error) => tracing::error!(%error, "a token could not be issued"),
            Self::Client(fault) => return client_auth_response(fault),
            other => tracing::debug!(error = %other, "a token request is refused"),
        }
        let (status, code) = self.parts();
        answer(status, code, &self.to_string())
    }
}

/// What a client is told that is not who it says (RFC 6749 section 5.2).
pub(in crate::server) fn client_auth_response(fault: &ClientAuthFault) -> Response {
    let (status, code) = match fault {
        ClientAuthFault::Missing | ClientAuthFault::Several => (StatusCode::BAD_REQUEST, "invalid_request"),
        ClientAuthFault::Client(_) | ClientAuthFault::NoProof | ClientAuthFault::Wrong => {
            (StatusCode::UNAUTHORIZED, "invalid_client")
        }
        ClientAuthFault::Unavailable(error) => {
            tracing::error!(%error, "a client could not be authenticated");
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
    };
    let mut response = answer(status, code, &fault.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"trunkline\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn answer(status: StatusCode, code: &str, words: &str) -> Response {
    (status, Json(json!({ "error": code, "error_description": words }))).into_response()
}
