//! `trunkline team list`.

use serde::Serialize;

use super::HubArgs;
use crate::command::named::Owners;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    teams: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    /// By what they sign in with.
    members: Vec<String>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let names = Owners::read(&store).await?;
    let memberships = store.teams().members().await?;
    let teams: Vec<Shown> = store
        .teams()
        .list()
        .await?
        .into_iter()
        .map(|team| Shown {
            members: memberships
                .iter()
                .filter(|(of, _)| *of == team.id)
                .map(|(_, user)| names.user(*user))
                .collect(),
            id: team.id.to_string(),
            name: team.name,
        })
        .collect();
    store.close().await;
    let mut table = Table::with_header(&["NAME", "ID", "MEMBERS"]);
    for team in &teams {
        table.row([team.name.clone(), team.id.clone(), team.members.join(",")]);
    }
    output.result(table, &Listed { teams });
    Ok(Outcome::Done)
}
