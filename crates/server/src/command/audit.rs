//! `trunkline audit`: the trail of every decision.

mod export;
mod verify;

use clap::Subcommand;
use trunkline_model::ProfileName;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Check and export the audit trail.
///
/// Reads the hub's database, beside a running hub.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline audit verify
  trunkline audit export --profile engineering > trail.ndjson")]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that no line of the trail was edited, removed or moved.
    #[command(after_help = "Example:
  trunkline audit verify --data /var/lib/trunkline

Exit codes: 0 the trail is intact, 1 it is not.")]
    Verify {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Write the trail as JSON, one event on each line, the oldest chain first.
    #[command(after_help = "Example:
  trunkline audit export | jq -r 'select(.event.decision.effect == \"deny\") | .event.at'")]
    Export {
        /// Only the events of this profile.
        #[arg(long, value_name = "NAME", value_parser = ProfileName::new)]
        profile: Option<ProfileName>,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: AuditArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        AuditCommand::Verify { hub } => Box::pin(verify::run(&hub, output)).await,
        AuditCommand::Export { profile, hub } => Box::pin(export::run(profile.as_ref(), &hub, output)).await,
    }
}
