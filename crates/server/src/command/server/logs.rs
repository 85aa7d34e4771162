//! `trunkline server logs`.

use anyhow::Context as _;
use trunkline_model::ServerName;

use super::HubArgs;
use crate::control::{Control, Logs};
use crate::output::{Outcome, Output};

pub(super) async fn run(name: &ServerName, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let control = Control::connect(&hub.data()).await?.with_context(|| {
        format!("no hub runs on {}: there are no logs to show", hub.data().path().display())
    })?;
    let logs: Logs = control.get(&format!("/api/v1/servers/{name}/logs")).await?;
    if logs.lines.is_empty() {
        output.note(format_args!("{name} has written nothing to its standard error"));
    }
    let lines: Vec<String> = logs.lines.iter().map(|line| format!("{}  {}", line.at, line.text)).collect();
    if output.is_json() || !lines.is_empty() {
        output.result(lines.join("\n"), &logs);
    }
    Ok(Outcome::Done)
}
