//! `trunkline team add` and `team remove`.

use serde::Serialize;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::{team_named, user_named};
use crate::output::{Outcome, Output};

#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Add,
    Remove,
}

#[derive(Debug, Serialize)]
struct Changed {
    team: String,
    user: String,
    /// Whether it was this command that changed it.
    changed_now: bool,
}

pub(super) async fn run(
    change: Change,
    team: &str,
    user: &str,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let (team, user) = (team_named(&store, team).await?, user_named(&store, user).await?);
    let (changed_now, words) = match change {
        Change::Add => (store.teams().join(team.id, user.id).await?, "is in"),
        Change::Remove => (store.teams().leave(team.id, user.id).await?, "is not in"),
    };
    store.close().await;
    if changed_now {
        announce_change(&hub.data(), output).await;
    }
    let changed = Changed { team: team.name, user: user.login, changed_now };
    output.result(format_args!("{} {words} {}", changed.user, changed.team), &changed);
    Ok(Outcome::Done)
}
