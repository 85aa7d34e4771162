//! `trunkline server test`.

use trunkline_model::ServerName;

use super::HubArgs;
use crate::command::hub_args::require_server;
use crate::output::{Outcome, Output};

#[expect(clippy::unused_async, reason = "asking a server awaits its answer")]
pub(super) async fn run(name: &ServerName, hub: &HubArgs, _output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    require_server(&config, name)?;
    anyhow::bail!("asking a server from the command line is not wired yet")
}
