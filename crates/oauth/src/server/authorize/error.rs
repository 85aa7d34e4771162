//! Why there is no code, and who is told.

use axum::response::Response;
use http::StatusCode;
use thiserror::Error;
use trunkline_storage::{StoreError, VaultError};

use super::request::AuthorizationRequest;
use super::{Answer, see_other};
use crate::page::{self, Notice};
use crate::server::client::ClientFault;
use crate::server::form::FormFault;
use crate::server::redirect;

/// RFC 6749 section 4.1.2.1, RFC 8707 section 2, `OpenID` Connect Core section 3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum ErrorCode {
    InvalidRequest,
    UnauthorizedClient,
    UnsupportedResponseType,
    InvalidTarget,
    AccessDenied,
    LoginRequired,
    InteractionRequired,
    RequestNotSupported,
}

#[derive(Debug, Error)]
pub(in crate::server) enum AuthorizeError {
    /// Nobody knows where an answer could go: the person at the browser is told.
    #[error("{0}")]
    Form(#[from] FormFault),
    #[error("{0}")]
    Client(#[from] ClientFault),
    #[error("The request does not say which client it is from.")]
    NoClient,
    #[error("The client has not registered the address that the answer would go to.")]
    Redirect,
    /// The client is told.
    #[error("{words}")]
    Answered { to: Answer, code: ErrorCode, words: String },
    /// The person is told, and may go on to the client: else a link to this
    /// hub would lead anywhere that a stranger has registered (RFC 9700
    /// section 4.11.2).
    #[error("{words}")]
    Shown { to: Answer, code: ErrorCode, words: String },
    #[error("This hub cannot answer now. Try again later.")]
    Store(#[from] StoreError),
    #[error("This hub cannot answer now. Try again later.")]
    Vault(#[from] VaultError),
}

impl AuthorizeError {
    /// For the client, where its redirect is safe to follow unasked.
    pub(in crate::server) fn answered(request: &AuthorizationRequest, code: ErrorCode, words: &str) -> Self {
        Self::to(request.asked.answer(), request.asked.is_safe_to_follow(), code, words.to_owned())
    }

    /// For the person, who may go on to the client.
    pub(in crate::server) fn shown(request: &AuthorizationRequest, code: ErrorCode, words: String) -> Self {
        Self::to(request.asked.answer(), false, code, words)
    }

    pub(super) fn to(to: Answer, is_safe: bool, code: ErrorCode, words: String) -> Self {
        if is_safe { Self::Answered { to, code, words } } else { Self::Shown { to, code, words } }
    }

    pub(in crate::server) fn into_response(self, issuer: &str) -> Response {
        let words = self.to_string();
        match self {
            Self::Answered { to, code, words } => see_other(&location(&to, code, &words, issuer)),
            Self::Shown { to, code, words } => {
                let label = format!("Back to {}", redirect::destination(&to.redirect_uri));
                let link = Some((label, location(&to, code, &words, issuer)));
                notice(StatusCode::FORBIDDEN, words, link)
            }
            Self::Client(ClientFault::Unavailable(error)) | Self::Store(error) => {
                tracing::error!(%error, "an authorization request could not be answered");
                notice(StatusCode::SERVICE_UNAVAILABLE, words, None)
            }
            Self::Vault(error) => {
                tracing::error!(%error, "an authorization request could not be answered");
                notice(StatusCode::INTERNAL_SERVER_ERROR, words, None)
            }
            Self::Form(_) | Self::Client(_) | Self::NoClient | Self::Redirect => {
                notice(StatusCode::BAD_REQUEST, words, None)
            }
        }
    }
}

fn location(to: &Answer, code: ErrorCode, words: &str, issuer: &str) -> String {
    to.location(issuer, &[("error", code.as_str()), ("error_description", words)])
}

fn notice(status: StatusCode, text: String, link: Option<(String, String)>) -> Response {
    page::page(status, &Notice { title: "This sign-in cannot go on".to_owned(), text, link })
}

impl ErrorCode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::RequestNotSupported => "request_not_supported",
        }
    }
}
