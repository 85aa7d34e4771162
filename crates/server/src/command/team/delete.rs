//! `trunkline team delete`.

use http::Method;
use serde::Serialize;

use super::HubArgs;
use crate::command::named::team_named;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
    name: String,
}

pub(super) async fn run(team: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let team = hub
        .with_api(async |api| {
            let team = team_named(api, team).await?;
            api.tell(Method::DELETE, &format!("/api/v1/teams/{}", team.id), &()).await?;
            Ok(team)
        })
        .await?;
    let deleted = Deleted { id: team.id, name: team.name };
    output.result(format_args!("the team {} is deleted", deleted.name), &deleted);
    Ok(Outcome::Done)
}
