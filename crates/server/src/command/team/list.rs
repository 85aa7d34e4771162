//! `trunkline team list`.

use super::HubArgs;
use crate::command::named::Teams;
use crate::output::{Outcome, Output, Table};

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed: Teams = hub.with_api(async |api| api.get("/api/v1/teams").await).await?;
    let mut table = Table::with_header(&["NAME", "ID", "MEMBERS"]);
    for team in &listed.teams {
        let members: Vec<&str> = team.members.iter().map(|member| member.login.as_str()).collect();
        table.row([team.name.clone(), team.id.clone(), members.join(",")]);
    }
    output.result(table, &listed);
    Ok(Outcome::Done)
}
