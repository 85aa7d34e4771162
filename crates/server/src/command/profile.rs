//! `trunkline profile`: the endpoints.

mod list;
mod tools;

use clap::Subcommand;
use trunkline_model::ProfileName;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Look at the profiles.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline profile list
  trunkline profile tools engineering")]
pub(super) struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List the profiles of the configuration with their endpoints.
    #[command(after_help = "Example:
  trunkline profile list --json | jq -r '.profiles[].endpoint'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// List the tools that a profile shows its callers, as the running hub has them.
    #[command(after_help = "Example:
  trunkline profile tools engineering")]
    Tools {
        /// The profile's name.
        #[arg(value_parser = ProfileName::new)]
        name: ProfileName,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: ProfileArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        ProfileCommand::List { hub } => list::run(&hub, output).await,
        ProfileCommand::Tools { name, hub } => tools::run(&name, &hub, output).await,
    }
}
