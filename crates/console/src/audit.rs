//! `/api/v1/audit`: the trail.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use trunkline_web::Problem;

use crate::Admin;

/// `POST /api/v1/audit/flush`: answers once every event so far is in the
/// database, where whoever reads the trail finds it.
pub(crate) async fn flush(State(admin): State<Admin>) -> Response {
    match admin.audit.flush().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The trail waits for the database")
            .detail(error.to_string())
            .into_response(),
    }
}
