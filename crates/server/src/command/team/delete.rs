//! `trunkline team delete`.

use serde::Serialize;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::team_named;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
    name: String,
}

pub(super) async fn run(team: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let team = team_named(&store, team).await?;
    store.teams().delete(team.id).await?;
    store.close().await;
    announce_change(&hub.data(), output).await;
    let deleted = Deleted { id: team.id.to_string(), name: team.name };
    output.result(format_args!("the team {} is deleted", deleted.name), &deleted);
    Ok(Outcome::Done)
}
