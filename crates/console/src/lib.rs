//! The admin API. One file per resource; no rules of its own: it shows what
//! the domain crates know.
//!
//! It is served on the control socket, which only the owner of the data
//! directory can open, and on the hub's listener to people who are signed in and to access tokens for it.
//! [`routes`] is the table of both, with what each route asks of its caller.

mod access;
mod audit;
mod body;
mod clients;
mod connections;
mod directory;
mod failure;
mod grants;
mod hub;
mod keys;
mod openapi;
mod profiles;
mod rotation;
mod route;
mod servers;
mod sessions;
mod teams;
mod upstream_clients;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use trunkline_mcp_hub::Hub;
use trunkline_model::{Clock, UserId};
use trunkline_oauth::client::Connections;
use trunkline_oauth::login::Sessions;
use trunkline_oauth::{Base, People, Resource};
use trunkline_profiles::{AuditLog, Guard};
use trunkline_storage::Store;

pub use access::{Actor, Door, Needs};
pub use route::Route;

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
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    /// Where clients reach the hub, without a slash at the end.
    pub public_url: String,
    /// What clients call it.
    pub base: Base,
}

/// Every route, with what it asks of its caller.
pub fn routes() -> Vec<Route> {
    let mut routes = hub_routes();
    routes.extend(servers::routes());
    routes.extend(connections::routes());
    routes.extend(upstream_clients::routes());
    routes.extend(users::routes());
    routes.extend(teams::routes());
    routes.extend(keys::routes());
    routes.extend(sessions::routes());
    routes.extend(clients::routes());
    routes.extend(grants::routes());
    routes.extend(directory::routes());
    routes
}

fn hub_routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/hub", Needs::Read, "The hub itself", hub::show),
        Route::get("/api/v1/profiles", Needs::Read, "The profiles", profiles::list),
        Route::get("/api/v1/profiles/{name}/tools", Needs::Read, "The tools of a profile", profiles::tools),
        Route::post(
            "/api/v1/audit/flush",
            Needs::Operate,
            "Bring every event into the database",
            audit::flush,
        ),
    ]
}

impl Admin {
    /// What a user signs in with; the id of one who is there no more.
    fn login_of(&self, user: UserId) -> String {
        self.people.user(user).map_or_else(|| user.to_string(), |user| user.login.clone())
    }

    /// Makes a change that was just stored count in this process at once.
    async fn take_over(&self) {
        if let Err(error) = self.resource.catch_up().await {
            tracing::warn!(%error, "a change is taken over a little later");
        }
    }
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
