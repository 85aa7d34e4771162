//! `/api/v1/clients`: the OAuth clients of the hub's authorization server.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunkline_model::{ClientKind, OauthClient, Timestamp, User, UserKind};
use trunkline_oauth::keys::Form;
use trunkline_oauth::server::{NewClient, create_client};
use trunkline_storage::StoreError;

use crate::body::Body;
use crate::failure::{conflict, forbidden, no_such, unavailable, unfit};
use crate::rotation::Rotation;
use crate::route::Route;
use crate::{Actor, Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/clients", Needs::Read, "OAuth clients, and how each came to be", list),
        Route::post("/api/v1/clients", Needs::Operate, "Make a client", create),
        // Ids of clients that have a document are URLs.
        Route::get("/api/v1/clients/{*id}", Needs::Read, "One client", show),
        Route::patch("/api/v1/clients/{*id}", Needs::Operate, "Block a client or let it in again", block),
        Route::delete(
            "/api/v1/clients/{*id}",
            Needs::Operate,
            "Delete a client and what it was granted",
            delete,
        ),
        Route::post(
            "/api/v1/client-secrets/{*id}",
            Needs::Operate,
            "Give a client another secret; the one before stays good for a while",
            rotate,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Clients {
    clients: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    kind: ClientKind,
    confidential: bool,
    /// When its secret was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_at: Option<String>,
    registered_from: String,
    created_at: String,
    used_at: Option<String>,
    blocked_at: Option<String>,
}

/// One client, with what lists have no room for.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    client: Shown,
    /// What the client says of itself (RFC 7591 section 2).
    metadata: Value,
    /// Grants that are live.
    live_grants: usize,
}

#[derive(Debug, Serialize)]
struct Made {
    id: String,
    name: String,
    /// Shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rotated {
    id: String,
    /// Shown this once.
    secret: String,
    /// Until then the secret before it is good.
    previous_until: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: String,
    name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    confidential: bool,
    /// The id of the service account that it acts as by its own credentials.
    service_account: Option<String>,
    #[serde(default)]
    token_exchange: bool,
    #[serde(default)]
    assertions: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    blocked: bool,
}

impl From<OauthClient> for Shown {
    fn from(client: OauthClient) -> Self {
        Self {
            id: client.id,
            name: client.name,
            kind: client.kind,
            confidential: client.secret_hash.is_some(),
            secret_at: client.secret_hash.map(|_| client.secret_at.unwrap_or(client.created_at).to_string()),
            registered_from: client.registered_from,
            created_at: client.created_at.to_string(),
            used_at: client.used_at.as_ref().map(Timestamp::to_string),
            blocked_at: client.blocked_at.as_ref().map(Timestamp::to_string),
        }
    }
}

async fn list(State(admin): State<Admin>) -> Response {
    match admin.store.clients().list().await {
        Ok(clients) => {
            Json(Clients { clients: clients.into_iter().map(Shown::from).collect() }).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    match whole(&admin, &id).await {
        Ok(Some(client)) => Json(client).into_response(),
        Ok(None) => no_such("client", &id),
        Err(error) => unavailable(&error),
    }
}

async fn whole(admin: &Admin, id: &str) -> Result<Option<Whole>, StoreError> {
    let Some(client) = admin.store.clients().find(id).await? else { return Ok(None) };
    let (now, grants) = (admin.clock.now(), admin.store.grants().list().await?);
    Ok(Some(Whole {
        metadata: serde_json::from_str(&client.metadata).unwrap_or_default(),
        live_grants: grants.iter().filter(|grant| grant.client == id && grant.is_live(now)).count(),
        client: client.into(),
    }))
}

async fn create(State(admin): State<Admin>, actor: Actor, Body(new): Body<New>) -> Response {
    let service_user = match new.service_account.as_deref() {
        None => None,
        Some(id) => match service_account(&admin, id) {
            Some(user) if user.role > actor.role() => return above(),
            Some(user) => Some(user.id),
            None => return no_such("service account", id),
        },
    };
    let wanted = NewClient {
        name: new.name.unwrap_or_else(|| new.id.clone()),
        id: new.id,
        redirect_uris: new.redirect_uris,
        confidential: new.confidential,
        service_user,
        token_exchange: new.token_exchange,
        assertions: new.assertions,
    };
    let made = create_client(wanted, &mut rand::rng(), admin.clock.now());
    let (client, secret) = match made {
        Ok(made) => made,
        Err(fault) => return unfit(fault.to_string()),
    };
    match admin.store.clients().insert(&client).await {
        Ok(true) => {
            let secret = secret.map(|secret| secret.expose().to_owned());
            (StatusCode::CREATED, Json(Made { id: client.id, name: client.name, secret })).into_response()
        }
        Ok(false) => conflict(format!("there is a client {:?} already", client.id)),
        Err(error) => unavailable(&error),
    }
}

fn service_account(admin: &Admin, id: &str) -> Option<Arc<User>> {
    admin.people.enabled(id.parse().ok()?).filter(|user| user.kind == UserKind::Service)
}

/// Whoever has a client's secret is its service account, in the admin API too.
fn above() -> Response {
    forbidden("the client acts as a service account with a higher role than yours")
}

async fn block(State(admin): State<Admin>, Path(id): Path<String>, Body(wanted): Body<Wanted>) -> Response {
    let clients = admin.store.clients();
    let changed =
        if wanted.blocked { clients.block(&id, admin.clock.now()).await } else { clients.unblock(&id).await };
    if let Err(error) = changed {
        return unavailable(&error);
    }
    admin.take_over().await;
    show(State(admin), Path(id)).await
}

async fn rotate(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    actor: Actor,
    Body(rotation): Body<Rotation>,
) -> Response {
    let client = match admin.store.clients().find(&id).await {
        Ok(client) => client,
        Err(error) => return unavailable(&error),
    };
    let acts_as = client.and_then(|client| client.service_user).and_then(|user| admin.people.user(user));
    if acts_as.is_some_and(|user| user.role > actor.role()) {
        return above();
    }
    let now = admin.clock.now();
    let until = match rotation.previous_until(now) {
        Ok(until) => until,
        Err(answer) => return *answer,
    };
    let minted = Form::CLIENT_SECRET.mint(&mut rand::rng());
    match admin.store.clients().rotate_secret(&id, minted.hash, until, now).await {
        Ok(true) => {
            let secret = minted.key.expose().to_owned();
            Json(Rotated { id, secret, previous_until: until.to_string() }).into_response()
        }
        Ok(false) => no_such("live client with a secret", &id),
        Err(error) => unavailable(&error),
    }
}

async fn delete(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    match admin.store.clients().delete(&id, admin.clock.now()).await {
        Ok(true) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => no_such("client", &id),
        Err(error) => unavailable(&error),
    }
}
