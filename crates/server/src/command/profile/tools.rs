//! `trunkline profile tools`.

use anyhow::Context as _;
use trunkline_model::ProfileName;

use super::HubArgs;
use crate::control::{Control, Tools};
use crate::output::{Outcome, Output, Table};

/// Characters of a description that a table shows.
const SHOWN: usize = 60;

pub(super) async fn run(name: &ProfileName, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let control = Control::connect(&hub.data()).await?.with_context(|| {
        format!("no hub runs on {}: which tools its servers have is not known", hub.data().path().display())
    })?;
    let tools: Tools = control.get(&format!("/api/v1/profiles/{name}/tools")).await?;
    let mut table = Table::with_header(&["TOOL", "SERVER", "ITS NAME THERE", "DESCRIPTION"]);
    for tool in &tools.tools {
        let description = brief(tool.description.as_deref().unwrap_or_default());
        table.row([tool.name.clone(), tool.server.clone(), tool.original.clone(), description]);
    }
    for missing in &tools.missing {
        let detail = missing.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        output.note(format_args!(
            "the tools of {} are missing, it is {}{detail}",
            missing.server, missing.state
        ));
    }
    output.result(table, &tools);
    Ok(Outcome::Done)
}

/// The first line, cut where it is long.
fn brief(description: &str) -> String {
    let line = description.lines().next().unwrap_or_default().trim();
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    let cut: String = line.chars().take(SHOWN - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_is_cut() {
        assert_eq!(brief("short\nsecond line"), "short");
        assert_eq!(brief(&"ä".repeat(70)).chars().count(), SHOWN);
    }
}
