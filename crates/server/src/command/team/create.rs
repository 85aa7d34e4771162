//! `trunkline team create`.

use http::Method;
use serde_json::json;

use super::HubArgs;
use crate::command::named::Team;
use crate::output::{Outcome, Output};

pub(super) async fn run(name: String, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let wanted = json!({ "name": name });
    let team: Team =
        hub.with_new_api(async |api| api.ask(Method::POST, "/api/v1/teams", &wanted).await).await?;
    output.result(&team.id, &team);
    Ok(Outcome::Done)
}
