//! Users and teams by what people call them.

use std::collections::HashMap;

use anyhow::{anyhow, bail};
use trunkline_model::{KeyOwner, Team, TeamId, User, UserId};
use trunkline_storage::Store;

use super::hub_args::HubArgs;
use crate::config::{Config, suggestion};
use crate::control::{Control, HubFacts};

/// The user with this sign-in name or id.
///
/// # Errors
/// There is none, with the nearest name; or the database's.
pub(super) async fn user_named(store: &Store, text: &str) -> anyhow::Result<User> {
    if let Some(id) = text.starts_with("usr_").then(|| text.parse().ok()).flatten()
        && let Some(user) = store.users().find(id).await?
    {
        return Ok(user);
    }
    let login = User::login_from(text).ok_or_else(|| anyhow!("{text:?} is no sign-in name"))?;
    if let Some(user) = store.users().find_by_login(&login).await? {
        return Ok(user);
    }
    let users = store.users().list().await?;
    let known: Vec<&str> = users.iter().map(|user| user.login.as_str()).collect();
    match suggestion(&login, &known) {
        Some(help) => bail!("there is no user `{login}`; {help}"),
        None => bail!("there is no user `{login}`; `trunkline user list` shows them all"),
    }
}

/// The team with this name or id.
///
/// # Errors
/// As [`user_named`].
pub(super) async fn team_named(store: &Store, text: &str) -> anyhow::Result<Team> {
    let teams = store.teams().list().await?;
    if let Some(team) = teams.iter().find(|team| team.name == text || team.id.to_string() == text) {
        return Ok(team.clone());
    }
    let known: Vec<&str> = teams.iter().map(|team| team.name.as_str()).collect();
    match suggestion(text, &known) {
        Some(help) => bail!("there is no team `{text}`; {help}"),
        None => bail!("there is no team `{text}`; `trunkline team list` shows them all"),
    }
}

/// The URL under which people reach the hub: what the running one says, or
/// else the configuration.
///
/// # Errors
/// The running hub does not answer.
pub(super) async fn public_url(hub: &HubArgs, config: &Config) -> anyhow::Result<String> {
    match Control::connect(&hub.data()).await? {
        Some(control) => Ok(control.get::<HubFacts>("/api/v1/hub").await?.public_url),
        None => Ok(config.base_url(config.listen)),
    }
}

/// What owners of keys are called.
#[derive(Debug)]
pub(super) struct Owners {
    users: HashMap<UserId, String>,
    teams: HashMap<TeamId, String>,
}

impl Owners {
    pub(super) async fn read(store: &Store) -> anyhow::Result<Self> {
        let users = store.users().list().await?.into_iter().map(|user| (user.id, user.login));
        let teams = store.teams().list().await?.into_iter().map(|team| (team.id, team.name));
        Ok(Self { users: users.collect(), teams: teams.collect() })
    }

    pub(super) fn name(&self, owner: KeyOwner) -> String {
        match owner {
            KeyOwner::User(id) => self.user(id),
            KeyOwner::Team(id) => {
                let name = self.teams.get(&id).cloned();
                format!("team:{}", name.unwrap_or_else(|| id.to_string()))
            }
        }
    }

    pub(super) fn user(&self, id: UserId) -> String {
        self.users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}
