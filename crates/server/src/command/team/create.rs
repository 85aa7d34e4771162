//! `trunkline team create`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock, Team};
use trunkline_oauth::login::new_team_id;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Created {
    id: String,
    name: String,
}

pub(super) async fn run(name: String, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.store(&config).await?;
    let now = SystemClock.now();
    let team = Team { id: new_team_id(now), name, created_at: now };
    let is_new = store.teams().insert(&team).await?;
    store.close().await;
    if !is_new {
        output.error(format_args!("there is a team `{}` already", team.name));
        return Ok(Outcome::Negative);
    }
    announce_change(&hub.data(), output).await;
    let created = Created { id: team.id.to_string(), name: team.name };
    output.result(&created.id, &created);
    Ok(Outcome::Done)
}
