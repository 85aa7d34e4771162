//! `trunkline user list`.

use std::collections::HashMap;

use serde::Serialize;
use trunkline_model::{Role, TeamId, Timestamp, UserKind};

use super::HubArgs;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    users: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    kind: UserKind,
    login: String,
    name: String,
    role: Role,
    teams: Vec<String>,
    /// As identity providers and directories say.
    groups: Vec<String>,
    created_at: String,
    disabled_at: Option<String>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let teams: HashMap<TeamId, String> =
        store.teams().list().await?.into_iter().map(|team| (team.id, team.name)).collect();
    let memberships = store.teams().members().await?;
    let groups = store.users().groups().await?;
    let users = store.users().list().await?;
    store.close().await;
    let users: Vec<Shown> = users
        .into_iter()
        .map(|user| Shown {
            teams: memberships
                .iter()
                .filter(|(_, member)| *member == user.id)
                .filter_map(|(team, _)| teams.get(team).cloned())
                .collect(),
            groups: groups
                .iter()
                .filter(|(member, _)| *member == user.id)
                .map(|(_, group)| group.clone())
                .collect(),
            id: user.id.to_string(),
            kind: user.kind,
            login: user.login,
            name: user.name,
            role: user.role,
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.as_ref().map(Timestamp::to_string),
        })
        .collect();
    let mut table = Table::with_header(&["LOGIN", "NAME", "KIND", "ROLE", "TEAMS", "STATE"]);
    for user in &users {
        let state = match &user.disabled_at {
            Some(at) => format!("disabled {at}"),
            None => "enabled".to_owned(),
        };
        table.row([
            user.login.clone(),
            user.name.clone(),
            user.kind.as_str().to_owned(),
            user.role.as_str().to_owned(),
            if user.teams.is_empty() { "-".to_owned() } else { user.teams.join(",") },
            state,
        ]);
    }
    output.result(table, &Listed { users });
    Ok(Outcome::Done)
}
