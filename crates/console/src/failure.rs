//! Answers of routes that cannot do what they are asked.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use trunkline_storage::StoreError;
use trunkline_web::Problem;

/// What is not there, or not for whoever asks, by its name.
pub(crate) fn no_such(noun: &str, name: &str) -> Response {
    Problem::new(StatusCode::NOT_FOUND, "Not found")
        .detail(format!("there is no {noun} {name:?}"))
        .into_response()
}

/// The request makes no sense here; `detail` says why and what would.
pub(crate) fn conflict(detail: impl Into<String>) -> Response {
    Problem::new(StatusCode::CONFLICT, "Not possible").detail(detail).into_response()
}

/// A member of the body cannot be what it is.
pub(crate) fn unfit(detail: impl Into<String>) -> Response {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Bad body").detail(detail).into_response()
}

/// The role of whoever asks is too low for this one.
pub(crate) fn forbidden(detail: impl Into<String>) -> Response {
    Problem::new(StatusCode::FORBIDDEN, "Not allowed").detail(detail).into_response()
}

pub(crate) fn unavailable(error: &StoreError) -> Response {
    tracing::warn!(%error, "the database does not answer");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer").into_response()
}
