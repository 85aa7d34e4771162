//! `trunkline team add` and `team remove`.

use http::Method;
use serde::Serialize;

use super::HubArgs;
use crate::api::Api;
use crate::command::named::{team_named, user_named};
use crate::output::{Outcome, Output};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let changed = hub.with_api(async |api| make(change, team, user, api).await).await?;
    let words = match change {
        Change::Add => "is in",
        Change::Remove => "is not in",
    };
    output.result(format_args!("{} {words} {}", changed.user, changed.team), &changed);
    Ok(Outcome::Done)
}

async fn make(change: Change, team: &str, user: &str, api: &Api) -> anyhow::Result<Changed> {
    let (team, user) = (team_named(api, team).await?, user_named(api, user).await?);
    let is_member = team.members.iter().any(|member| member.id == user.id);
    let method = match change {
        Change::Add => Method::PUT,
        Change::Remove => Method::DELETE,
    };
    api.tell(method, &format!("/api/v1/teams/{}/members/{}", team.id, user.id), &()).await?;
    let changed_now = is_member == (change == Change::Remove);
    Ok(Changed { team: team.name, user: user.login, changed_now })
}
