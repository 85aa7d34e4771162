//! `trunkline user reset`.

use super::HubArgs;
use crate::command::login::link;
use crate::output::{Outcome, Output};

pub(super) async fn run(user: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    link::run(user, "reset", hub, output).await
}
