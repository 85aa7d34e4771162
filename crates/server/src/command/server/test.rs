//! `trunkline server test`.

use std::fmt::Write as _;

use trunkline_mcp_hub::Probe;
use trunkline_model::ServerName;

use super::HubArgs;
use crate::command::hub_args::require_server;
use crate::core::Core;
use crate::output::{Outcome, Output};

pub(super) async fn run(name: &ServerName, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut config = hub.load()?;
    require_server(&config, name)?;
    config.profiles.clear();
    let public_url = config.base_url(config.listen).parse()?;
    let core = Core::start(&config, &hub.data(), public_url).await?;
    let probed = core.hub.probe(name).await;
    let logs = core.hub.upstreams().logs(name).unwrap_or_default();
    core.stop().await;
    match probed {
        Ok(probe) => {
            output.result(in_words(name, &probe), &probe);
            Ok(Outcome::Done)
        }
        Err(error) => {
            let mut words = error.to_string();
            for line in logs.iter().rev().take(10).rev() {
                // Writing to a String cannot fail.
                let _ = write!(words, "\n  {}", line.text);
            }
            anyhow::bail!("{words}")
        }
    }
}

fn in_words(name: &ServerName, probe: &Probe) -> String {
    let mut words = format!("{name}: answers, protocol version {}", probe.protocol_version);
    let parts = [
        ("tools", &probe.tools),
        ("prompts", &probe.prompts),
        ("resources", &probe.resources),
        ("resource templates", &probe.templates),
    ];
    for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write!(words, "\n  {} {what}: {}", names.len(), names.join(", "));
    }
    words
}
