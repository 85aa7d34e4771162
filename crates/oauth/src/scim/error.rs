//! Errors in the shape of RFC 7644 section 3.12.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use thiserror::Error;
use trunkline_storage::StoreError;

use super::body::scim_json;

/// Why a request of a directory is not done; nothing changed.
#[derive(Debug, Error)]
pub(super) enum ScimError {
    #[error("send the directory's token, as `trunkline login scim-token` prints it")]
    NotADirectory,
    #[error("there is no such resource")]
    NotFound,
    #[error("{0}")]
    InvalidFilter(String),
    #[error("{0}")]
    InvalidPath(String),
    #[error("{0}")]
    InvalidValue(String),
    #[error("the body is not the JSON of such a request")]
    InvalidSyntax,
    #[error("{0}")]
    Taken(&'static str),
    #[error("owners are not the directory's to change")]
    Owner,
    #[error("{0}")]
    Body(#[from] trunkline_web::body::BodyError),
    #[error("the database does not answer")]
    Store(#[from] StoreError),
}

impl ScimError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotADirectory => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidFilter(_) | Self::InvalidPath(_) | Self::InvalidValue(_) | Self::InvalidSyntax => {
                StatusCode::BAD_REQUEST
            }
            Self::Taken(_) => StatusCode::CONFLICT,
            Self::Owner => StatusCode::FORBIDDEN,
            Self::Body(error) => error.status(),
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Table 9.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::InvalidFilter(_) => Some("invalidFilter"),
            Self::InvalidPath(_) => Some("invalidPath"),
            Self::InvalidValue(_) => Some("invalidValue"),
            Self::InvalidSyntax => Some("invalidSyntax"),
            Self::Taken(_) => Some("uniqueness"),
            Self::NotADirectory | Self::NotFound | Self::Owner | Self::Body(_) | Self::Store(_) => None,
        }
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self {
            tracing::warn!(%error, "a directory's request could not be done");
        }
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status().as_u16().to_string(),
            "detail": self.to_string(),
        });
        if let Some(kind) = self.kind() {
            body["scimType"] = kind.into();
        }
        let mut response = scim_json(self.status(), &body);
        if matches!(self, Self::NotADirectory) {
            let challenge = HeaderValue::from_static("Bearer realm=\"trunkline\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
