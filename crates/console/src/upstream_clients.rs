//! `/api/v1/upstream-clients`: what the hub is at the authorization servers of
//! upstream servers.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_model::ServerName;
use trunkline_oauth::client::{ShownClient, SteerError};
use trunkline_web::Problem;

use crate::failure::{no_such, unavailable};
use crate::route::Route;
use crate::{Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    let all = "/api/v1/upstream-clients";
    vec![
        Route::get(all, Needs::Read, "The clients that the hub is at authorization servers", list),
        Route::post(
            "/api/v1/upstream-clients/{server}/rotate",
            Needs::Operate,
            "Give a client a new secret",
            rotate,
        ),
        Route::post(
            "/api/v1/upstream-clients/{server}/register",
            Needs::Operate,
            "Register a client anew",
            register,
        ),
        Route::post(
            "/api/v1/upstream-clients/{server}/pause",
            Needs::Operate,
            "Stop the use of a client",
            pause,
        ),
        Route::post(
            "/api/v1/upstream-clients/{server}/resume",
            Needs::Operate,
            "Use a paused client again",
            resume,
        ),
        Route::delete(
            "/api/v1/upstream-clients/{server}",
            Needs::Operate,
            "Remove a client and revoke its grants",
            delete,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Clients {
    clients: Vec<ShownClient>,
}

/// Which of a server's clients; needed only where it has several.
#[derive(Debug, Deserialize)]
struct At {
    issuer: Option<String>,
}

/// `GET /api/v1/upstream-clients`
async fn list(State(admin): State<Admin>) -> Response {
    match admin.connections.clients().await {
        Ok(clients) => Json(Clients { clients }).into_response(),
        Err(error) => unavailable(&error),
    }
}

/// `POST /api/v1/upstream-clients/{server}/rotate`: a new secret; connections go on.
async fn rotate(State(admin): State<Admin>, Path(server): Path<String>, Query(at): Query<At>) -> Response {
    let (server, issuer) = match the_one(&admin, &server, at).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    done(admin.connections.rotate_client(&server, &issuer).await)
}

/// `POST /api/v1/upstream-clients/{server}/register`: registers anew, which ends its connections.
async fn register(State(admin): State<Admin>, Path(server): Path<String>, Query(at): Query<At>) -> Response {
    let (server, issuer) = match the_one(&admin, &server, at).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    done(admin.connections.register_client_anew(&server, &issuer).await)
}

/// `POST /api/v1/upstream-clients/{server}/pause`
async fn pause(State(admin): State<Admin>, Path(server): Path<String>, Query(at): Query<At>) -> Response {
    set_paused(&admin, &server, at, true).await
}

/// `POST /api/v1/upstream-clients/{server}/resume`
async fn resume(State(admin): State<Admin>, Path(server): Path<String>, Query(at): Query<At>) -> Response {
    set_paused(&admin, &server, at, false).await
}

async fn set_paused(admin: &Admin, server: &str, at: At, pause: bool) -> Response {
    let (server, issuer) = match the_one(admin, server, at).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    done(admin.connections.pause_client(&server, &issuer, pause).await)
}

/// `DELETE /api/v1/upstream-clients/{server}`: revokes every grant of it.
async fn delete(State(admin): State<Admin>, Path(server): Path<String>, Query(at): Query<At>) -> Response {
    let (server, issuer) = match the_one(&admin, &server, at).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    match admin.connections.delete_client(&server, &issuer).await {
        Ok(ended) => Json(json!({ "connections_ended": ended })).into_response(),
        Err(error) => refused(&error),
    }
}

/// The server and the issuer that a request means.
async fn the_one(admin: &Admin, server: &str, at: At) -> Result<(ServerName, String), Box<Response>> {
    let clients = admin.connections.clients().await.map_err(|error| Box::new(unavailable(&error)))?;
    let mut of_server = clients.into_iter().filter(|client| {
        client.server.as_str() == server && at.issuer.as_ref().is_none_or(|issuer| client.issuer == *issuer)
    });
    match (of_server.next(), of_server.next()) {
        (Some(client), None) => Ok((client.server, client.issuer)),
        (None, _) => Err(Box::new(no_such("client for the server", server))),
        (Some(_), Some(_)) => {
            let problem = Problem::new(StatusCode::CONFLICT, "Several clients")
                .detail(format!("the hub has several clients for {server}; name the `issuer`"));
            Err(Box::new(problem.into_response()))
        }
    }
}

fn done(outcome: Result<(), SteerError>) -> Response {
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &SteerError) -> Response {
    let status = match error {
        SteerError::NoSuchClient { .. } | SteerError::NoSuchServer => StatusCode::NOT_FOUND,
        SteerError::Given | SteerError::NoSecret | SteerError::NotManaged => StatusCode::CONFLICT,
        SteerError::Discovery(_) | SteerError::Registration(_) => StatusCode::BAD_GATEWAY,
        SteerError::Store(error) => return unavailable(error),
    };
    Problem::new(status, "Not done").detail(error.to_string()).into_response()
}
