//! `trunkline user list`.

use super::HubArgs;
use crate::command::named::Users;
use crate::output::{Outcome, Output, Table};

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed: Users = hub.with_api(async |api| api.get("/api/v1/users").await).await?;
    let mut table = Table::with_header(&["LOGIN", "NAME", "KIND", "ROLE", "TEAMS", "STATE"]);
    for user in &listed.users {
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
    output.result(table, &listed);
    Ok(Outcome::Done)
}
