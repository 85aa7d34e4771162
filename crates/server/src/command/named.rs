//! Users and teams as commands name them: by a name or by an id.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trunkline_model::{Role, UserKind};

use crate::api::Api;
use crate::config::suggestion;

/// `GET /api/v1/users`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Users {
    pub(super) users: Vec<User>,
}

/// A user or a service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) kind: UserKind,
    pub(super) login: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) teams: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) disabled_at: Option<String>,
    /// What tables have no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// `GET /api/v1/teams`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Teams {
    pub(super) teams: Vec<Team>,
}

/// Users under one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) members: Vec<Member>,
    /// What tables have no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) login: String,
}

/// The user with this sign-in name or id.
///
/// # Errors
/// There is none, with the nearest name; or the hub's.
pub(super) async fn user_named(api: &Api, text: &str) -> anyhow::Result<User> {
    let Users { users } = api.get("/api/v1/users").await?;
    let is_named = |user: &&User| user.login.eq_ignore_ascii_case(text) || user.id == text;
    if let Some(user) = users.iter().find(is_named) {
        return Ok(user.clone());
    }
    let known: Vec<&str> = users.iter().map(|user| user.login.as_str()).collect();
    match suggestion(text, &known) {
        Some(help) => bail!("there is no user `{text}`; {help}"),
        None => bail!("there is no user `{text}`; `trunkline user list` shows them all"),
    }
}

/// The team with this name or id.
///
/// # Errors
/// As [`user_named`].
pub(super) async fn team_named(api: &Api, text: &str) -> anyhow::Result<Team> {
    let Teams { teams } = api.get("/api/v1/teams").await?;
    if let Some(team) = teams.iter().find(|team| team.name == text || team.id == text) {
        return Ok(team.clone());
    }
    let known: Vec<&str> = teams.iter().map(|team| team.name.as_str()).collect();
    match suggestion(text, &known) {
        Some(help) => bail!("there is no team `{text}`; {help}"),
        None => bail!("there is no team `{text}`; `trunkline team list` shows them all"),
    }
}
