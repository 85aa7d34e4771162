//! The admin API. One file per resource; no rules of its own: it shows what
//! the domain crates know.
//!
//! Today it is served on the control socket alone, which only the owner of
//! the data directory can open; sign-in for people comes with the console.

mod audit;
mod changes;
mod profiles;
mod servers;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use trunkline_mcp_hub::Hub;
use trunkline_oauth::{People, Resource};
use trunkline_profiles::AuditLog;

/// What the routes share.
#[derive(Debug, Clone)]
pub struct Admin {
    pub hub: Arc<Hub>,
    pub resource: Arc<Resource>,
    pub people: Arc<People>,
    pub audit: AuditLog,
    /// Where clients reach the hub, without a slash at the end.
    pub public_url: String,
}

/// The routes under `/api/v1`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/api/v1/servers", get(servers::list))
        .route("/api/v1/servers/{name}/logs", get(servers::logs))
        .route("/api/v1/profiles", get(profiles::list))
        .route("/api/v1/profiles/{name}/tools", get(profiles::tools))
        .route("/api/v1/changes", post(changes::take_over))
        .route("/api/v1/audit/flush", post(audit::flush))
        .with_state(admin)
}
