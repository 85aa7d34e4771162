//! `/api/v1/connections`: grants at upstream servers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trunkline_model::{ConnectionOwner, ServerName};
use trunkline_oauth::client::{FlowError, ShownConnection};
use trunkline_web::Problem;

use crate::failure::{no_such, unavailable};
use crate::route::Route;
use crate::{Actor, Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/connections", Needs::SignedIn, "Grants at upstream servers", list),
        Route::post(
            "/api/v1/connections/{server}/connect",
            Needs::Operate,
            "A link that begins a consent",
            connect,
        ),
        Route::delete(
            "/api/v1/connections/{server}/{owner}",
            Needs::SignedIn,
            "End a grant at an upstream server",
            disconnect,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Connections {
    connections: Vec<ShownConnection>,
}

#[derive(Debug, Serialize)]
struct Link {
    /// To be opened in the browser of whoever consents.
    url: String,
}

/// `GET /api/v1/connections`: all for those who may read, else one's own.
async fn list(State(admin): State<Admin>, actor: Actor) -> Response {
    let own = actor.user().map(|user| ConnectionOwner::named(&user.to_string()));
    let reads_all = actor.role().may_read();
    let mut connections = admin.connections.list();
    connections.retain(|connection| reads_all || Some(&connection.owner) == own.as_ref());
    std::future::ready(Json(Connections { connections }).into_response()).await
}

#[derive(Debug, Deserialize)]
struct Wanted {
    /// Whose consent it will be, in place of everybody's or one's own.
    owner: Option<String>,
}

/// `POST /api/v1/connections/{server}/connect`: a link that begins a consent.
async fn connect(
    State(admin): State<Admin>,
    Path(server): Path<String>,
    Query(wanted): Query<Wanted>,
    actor: Actor,
) -> Response {
    let shared =
        ServerName::new(&server).ok().and_then(|name| Some((admin.connections.is_shared(&name)?, name)));
    let Some((shared, name)) = shared else {
        return refused(&FlowError::NoSuchServer(server));
    };
    let local = matches!(actor, Actor::Local);
    let link = match wanted.owner {
        // Whoever owns the data directory may act for anybody; nobody else may.
        Some(owner) if local && !shared => {
            admin.connections.invite(&name, ConnectionOwner::named(&owner)).await
        }
        Some(_) => {
            return Problem::new(StatusCode::FORBIDDEN, "Not for others")
                .detail("a person connects a server for themselves alone; only the command line beside the hub names an owner")
                .into_response();
        }
        None if shared => admin.connections.invite(&name, ConnectionOwner::shared()).await,
        None => Ok(format!("{}/connections/{name}/connect", admin.public_url)),
    };
    match link {
        Ok(url) => Json(Link { url }).into_response(),
        Err(error) => refused(&error),
    }
}

/// `DELETE /api/v1/connections/{server}/{owner}`: ends one, one's own or, as
/// an operator, anybody's.
async fn disconnect(
    State(admin): State<Admin>,
    Path((server, owner)): Path<(String, String)>,
    actor: Actor,
) -> Response {
    let own = actor.user().is_some_and(|user| user.to_string() == owner);
    let Some(name) = ServerName::new(&server).ok().filter(|_| own || actor.role().may_operate()) else {
        return no_such("connection", &format!("{server} of {owner}"));
    };
    match admin.connections.disconnect(&name, &ConnectionOwner::named(&owner)).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => no_such("connection", &format!("{server} of {owner}")),
        Err(error) => unavailable(&error),
    }
}

fn refused(error: &FlowError) -> Response {
    match error {
        FlowError::NoSuchServer(_) => {
            Problem::new(StatusCode::NOT_FOUND, "Not found").detail(error.to_string()).into_response()
        }
        FlowError::BySignIn { .. } => {
            Problem::new(StatusCode::FORBIDDEN, "Not for others").detail(error.to_string()).into_response()
        }
        FlowError::Store(error) => unavailable(error),
        FlowError::Discovery(_)
        | FlowError::Unfit(_)
        | FlowError::Registration(_)
        | FlowError::Unknown
        | FlowError::Foreign
        | FlowError::OtherIssuer
        | FlowError::Denied(_)
        | FlowError::Token(_) => {
            Problem::new(StatusCode::BAD_GATEWAY, "Not connected").detail(error.to_string()).into_response()
        }
    }
}
