//! `/api/v1/profiles`: the profiles and what they show.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use trunkline_mcp_hub::{Missing, ShownTool};
use trunkline_model::{ProfileAuth, ProfileName, ServerName};

use crate::Admin;
use crate::failure::no_such;

#[derive(Debug, Serialize)]
struct Profiles {
    profiles: Vec<Profile>,
}

#[derive(Debug, Serialize)]
struct Profile {
    name: ProfileName,
    auth: ProfileAuth,
    endpoint: String,
    servers: Vec<ServerName>,
}

#[derive(Debug, Serialize)]
struct Tools {
    tools: Vec<ShownTool>,
    /// Servers whose tools are not in the list, and why.
    missing: Vec<Missing>,
}

/// `GET /api/v1/profiles`
pub(crate) async fn list(State(admin): State<Admin>) -> Response {
    let profiles = admin.hub.profiles();
    let profiles = profiles
        .iter()
        .map(|profile| Profile {
            name: profile.name().clone(),
            auth: profile.auth(),
            endpoint: format!("{}/mcp/{}", admin.public_url, profile.name()),
            servers: profile.servers().map(|(server, _)| server.clone()).collect(),
        })
        .collect();
    std::future::ready(Json(Profiles { profiles }).into_response()).await
}

/// `GET /api/v1/profiles/{name}/tools`: waits for servers that have not
/// listed their tools yet.
pub(crate) async fn tools(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match admin.hub.tools_of(&name).await {
        Some((tools, missing)) => Json(Tools { tools, missing }).into_response(),
        None => no_such("profile", &name),
    }
}
