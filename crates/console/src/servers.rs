//! `/api/v1/servers`: the catalogue and how each server fares.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use trunkline_mcp_hub::upstream::pool::{EndpointKind, ServerState, State as Condition};
use trunkline_model::ServerName;

use crate::failure::no_such;
use crate::route::Route;
use crate::{Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/servers", Needs::Read, "The catalogue and how each server fares", list),
        Route::get(
            "/api/v1/servers/{name}/logs",
            Needs::Operate,
            "What a server wrote to its standard error",
            logs,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Servers {
    servers: Vec<Server>,
}

#[derive(Debug, Serialize)]
struct Server {
    name: ServerName,
    kind: &'static str,
    target: String,
    state: Shown,
    instances: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_exchange: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    is: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Logs {
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    at: String,
    text: String,
}

/// `GET /api/v1/servers`
async fn list(State(admin): State<Admin>) -> Response {
    let servers = admin.hub.upstreams().states().into_iter().map(|state| shown(&admin, state)).collect();
    std::future::ready(Json(Servers { servers }).into_response()).await
}

fn shown(admin: &Admin, state: ServerState) -> Server {
    let (is, reason) = match state.state {
        Condition::Idle => ("idle", None),
        Condition::Starting => ("starting", None),
        Condition::Ready => ("ready", None),
        Condition::NeedsConsent { why } => ("needs_consent", Some(why)),
        Condition::Failing { why } => ("failing", Some(why)),
    };
    Server {
        tools: admin.hub.tool_count(&state.name),
        name: state.name,
        kind: match state.kind {
            EndpointKind::Stdio => "stdio",
            EndpointKind::Http => "http",
        },
        target: state.target,
        state: Shown { is, since: state.since.to_string(), reason },
        instances: state.instances,
        last_exchange: state.last_exchange.map(|at| at.to_string()),
    }
}

/// `GET /api/v1/servers/{name}/logs`: what its children wrote to their
/// standard error, oldest first.
async fn logs(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    let lines = ServerName::new(&name).ok().and_then(|name| admin.hub.upstreams().logs(&name));
    let answer = match lines {
        Some(lines) => {
            let lines =
                lines.into_iter().map(|line| Line { at: line.at.to_string(), text: line.text }).collect();
            Json(Logs { lines }).into_response()
        }
        None => no_such("server", &name),
    };
    std::future::ready(answer).await
}
