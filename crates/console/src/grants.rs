//! `/api/v1/grants`: what users allowed OAuth clients.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use trunkline_model::{Grant, GrantFlow, GrantId, Timestamp};
use trunkline_storage::StoreError;

use crate::failure::{no_such, unavailable};
use crate::route::Route;
use crate::{Actor, Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/grants", Needs::SignedIn, "Grants: one's own, or all as an auditor", list),
        Route::delete("/api/v1/grants/{id}", Needs::SignedIn, "Revoke a grant", revoke),
    ]
}

#[derive(Debug, Serialize)]
struct Grants {
    grants: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    user: String,
    /// What the user signs in with.
    login: String,
    client: String,
    /// The profile that it opens, or `api/v1`.
    profile: String,
    scope: String,
    flow: GrantFlow,
    live: bool,
    created_at: String,
    used_at: String,
    expires_at: String,
    revoked_at: Option<String>,
    revoked_because: Option<String>,
}

async fn list(State(admin): State<Admin>, actor: Actor) -> Response {
    let now = admin.clock.now();
    let grants = match admin.store.grants().list().await {
        Ok(grants) => grants.into_iter(),
        Err(error) => return unavailable(&error),
    };
    let visible = grants.filter(|grant| actor.role().may_read() || actor.user() == Some(grant.user));
    let grants = visible.map(|grant| Shown {
        live: grant.is_live(now),
        id: grant.id.to_string(),
        user: grant.user.to_string(),
        login: admin.login_of(grant.user),
        client: grant.client,
        profile: grant.target.as_str().to_owned(),
        scope: grant.scope,
        flow: grant.flow,
        created_at: grant.created_at.to_string(),
        used_at: grant.used_at.to_string(),
        expires_at: grant.expires_at.to_string(),
        revoked_at: grant.revoked_at.as_ref().map(Timestamp::to_string),
        revoked_because: grant.revoked_because,
    });
    Json(Grants { grants: grants.collect() }).into_response()
}

/// One's own, or anybody's as an operator.
async fn revoke(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let Ok(grant) = id.parse::<GrantId>() else { return no_such("grant", &id) };
    let found = match admin.store.grants().find(grant).await {
        Ok(found) => found,
        Err(error) => return unavailable(&error),
    };
    let may = |grant: &Grant| actor.role().may_operate() || actor.user() == Some(grant.user);
    let Some(grant) = found.filter(may) else { return no_such("grant", &id) };
    match end(&admin, &actor, &grant).await {
        Ok(()) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn end(admin: &Admin, actor: &Actor, grant: &Grant) -> Result<(), StoreError> {
    let own = actor.user() == Some(grant.user);
    let because = if own { "the user revoked it" } else { "an operator revoked it" };
    admin.store.grants().revoke(grant.id, admin.clock.now(), because).await?;
    // Else the client would be let in again without a question.
    admin.store.consents().forget(grant.user, &grant.client, &grant.target).await
}
