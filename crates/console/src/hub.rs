//! `/api/v1/hub`: the hub itself.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::Admin;

#[derive(Debug, Serialize)]
struct Facts<'a> {
    version: &'static str,
    /// Where people and clients reach it, without a slash at the end.
    public_url: &'a str,
}

/// `GET /api/v1/hub`
pub(crate) async fn show(State(admin): State<Admin>) -> Response {
    let facts = Facts { version: env!("CARGO_PKG_VERSION"), public_url: &admin.public_url };
    std::future::ready(Json(facts).into_response()).await
}
