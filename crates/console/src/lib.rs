//! The admin API. One file per resource; no rules of its own: it shows what
//! the domain crates know.
//!
//! It is served on the control socket, which only the owner of the data
//! directory can open, and on the hub's listener to people who are signed in.
//! [`routes`] is the table of both, with what each route asks of its caller.

mod access;
mod audit;
mod changes;
mod connections;
mod hub;
mod openapi;
mod profiles;
mod servers;
mod upstream_clients;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};
use http::Method;
use trunkline_mcp_hub::Hub;
use trunkline_model::Clock;
use trunkline_oauth::client::Connections;
use trunkline_oauth::login::Sessions;
use trunkline_oauth::{People, Resource};
use trunkline_profiles::{AuditLog, Guard};

pub use access::{Actor, Door, Needs};

use access::{Check, admit};

/// What the routes share.
#[derive(Debug, Clone)]
pub struct Admin {
    pub hub: Arc<Hub>,
    pub resource: Arc<Resource>,
    pub people: Arc<People>,
    pub sessions: Arc<Sessions>,
    /// The hub as an OAuth client of upstream servers.
    pub connections: Arc<Connections>,
    pub guard: Arc<Guard>,
    pub audit: AuditLog,
    pub clock: Arc<dyn Clock>,
    /// Where clients reach the hub, without a slash at the end.
    pub public_url: String,
}

/// One route of the admin API.
#[derive(Debug)]
pub struct Route {
    pub method: Method,
    /// With its parameters in braces.
    pub path: &'static str,
    pub needs: Needs,
    pub summary: &'static str,
    handler: MethodRouter<Admin>,
}

/// Every route, with what it asks of its caller.
pub fn routes() -> Vec<Route> {
    let route = |method, path, needs, summary, handler| Route { method, path, needs, summary, handler };
    vec![
        route(Method::GET, "/api/v1/hub", Needs::Read, "The hub itself", get(hub::show)),
        route(
            Method::GET,
            "/api/v1/servers",
            Needs::Read,
            "The catalogue and how each server fares",
            get(servers::list),
        ),
        route(
            Method::GET,
            "/api/v1/servers/{name}/logs",
            Needs::Operate,
            "What a server wrote to its standard error",
            get(servers::logs),
        ),
        route(Method::GET, "/api/v1/profiles", Needs::Read, "The profiles", get(profiles::list)),
        route(
            Method::GET,
            "/api/v1/profiles/{name}/tools",
            Needs::Read,
            "The tools of a profile",
            get(profiles::tools),
        ),
        route(
            Method::POST,
            "/api/v1/changes",
            Needs::Administer,
            "Take over what another process changed",
            post(changes::take_over),
        ),
        route(
            Method::POST,
            "/api/v1/audit/flush",
            Needs::Operate,
            "Bring every event into the database",
            post(audit::flush),
        ),
    ]
    .into_iter()
    .chain(of_connections())
    .chain(of_upstream_clients())
    .collect()
}

/// Those of connections to upstream servers.
fn of_connections() -> Vec<Route> {
    let route = |method, path, needs, summary, handler| Route { method, path, needs, summary, handler };
    vec![
        route(
            Method::GET,
            "/api/v1/connections",
            Needs::SignedIn,
            "Grants at upstream servers",
            get(connections::list),
        ),
        route(
            Method::POST,
            "/api/v1/connections/{server}/connect",
            Needs::Operate,
            "A link that begins a consent",
            post(connections::connect),
        ),
        route(
            Method::DELETE,
            "/api/v1/connections/{server}/{owner}",
            Needs::SignedIn,
            "End a grant at an upstream server",
            delete(connections::disconnect),
        ),
    ]
}

/// Those of the clients that connections stand on.
fn of_upstream_clients() -> Vec<Route> {
    let route = |method, path, needs, summary, handler| Route { method, path, needs, summary, handler };
    vec![
        route(
            Method::GET,
            "/api/v1/upstream-clients",
            Needs::Read,
            "The clients that the hub is at authorization servers",
            get(upstream_clients::list),
        ),
        route(
            Method::POST,
            "/api/v1/upstream-clients/{server}/rotate",
            Needs::Operate,
            "Give a client a new secret",
            post(upstream_clients::rotate),
        ),
        route(
            Method::POST,
            "/api/v1/upstream-clients/{server}/register",
            Needs::Operate,
            "Register a client anew",
            post(upstream_clients::register),
        ),
        route(
            Method::POST,
            "/api/v1/upstream-clients/{server}/pause",
            Needs::Operate,
            "Stop the use of a client",
            post(upstream_clients::pause),
        ),
        route(
            Method::POST,
            "/api/v1/upstream-clients/{server}/resume",
            Needs::Operate,
            "Use a paused client again",
            post(upstream_clients::resume),
        ),
        route(
            Method::DELETE,
            "/api/v1/upstream-clients/{server}",
            Needs::Operate,
            "Remove a client and revoke its grants",
            delete(upstream_clients::delete),
        ),
    ]
}

/// The routes under `/api/v1`, for one door.
pub fn router(admin: Admin, door: Door) -> Router {
    let mut router = Router::new();
    for Route { path, needs, handler, .. } in routes() {
        let check = Check { admin: admin.clone(), door, needs };
        router = router.route(path, handler.route_layer(from_fn_with_state(check, admit)));
    }
    // It tells nobody more than the documentation does.
    router.route("/api/openapi.json", get(openapi::document)).with_state(admin)
}
