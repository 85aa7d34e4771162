//! `/api/v1/changes`: what another process changed in the database.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use trunkline_web::Problem;

use crate::Admin;

/// `POST /api/v1/changes`: takes over changes of keys, and answers once they
/// count. The hub notices them by itself a little later.
pub(crate) async fn take_over(State(admin): State<Admin>) -> Response {
    match admin.resource.catch_up().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::warn!(%error, "changes could not be taken over");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer").into_response()
        }
    }
}
