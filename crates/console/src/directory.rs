//! `/api/v1/scim-token`: the token of the directory that provisions users
//! (SCIM, RFC 7644 section 2).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use trunkline_oauth::keys::Form;

use crate::failure::unavailable;
use crate::route::Route;
use crate::{Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/v1/scim-token",
            Needs::Administer,
            "Make the token of the directory that provisions users, in place of the one before",
            make,
        ),
        Route::delete("/api/v1/scim-token", Needs::Administer, "Let no directory in", end),
    ]
}

#[derive(Debug, Serialize)]
struct Made {
    /// What the directory is told to call.
    url: String,
    /// Shown this once.
    token: String,
}

async fn make(State(admin): State<Admin>) -> Response {
    let minted = Form::DIRECTORY.mint(&mut rand::rng());
    if let Err(error) = admin.store.users().set_directory_token(Some(minted.hash), admin.clock.now()).await {
        return unavailable(&error);
    }
    admin.take_over().await;
    let made = Made { url: format!("{}/scim/v2", admin.public_url), token: minted.key.expose().to_owned() };
    (StatusCode::CREATED, Json(made)).into_response()
}

async fn end(State(admin): State<Admin>) -> Response {
    match admin.store.users().set_directory_token(None, admin.clock.now()).await {
        Ok(()) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}
