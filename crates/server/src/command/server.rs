//! `trunkline server`: the servers of the catalogue.

mod list;
mod logs;
mod test;

use clap::Subcommand;
use trunkline_model::ServerName;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Look at the upstream MCP servers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline server list
  trunkline server test tracker
  trunkline server logs files")]
pub(super) struct ServerArgs {
    #[command(subcommand)]
    command: ServerCommand,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// List the servers and how they fare.
    ///
    /// The states come from the running hub; without one, what the configuration says is listed.
    #[command(after_help = "Example:
  trunkline server list --json | jq -r '.servers[] | select(.state.is == \"failing\") | .name'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Ask a server for its tools, from this process.
    ///
    /// Starts the server or calls it, as the hub would, and tells each step. A running hub is not involved.
    #[command(after_help = "Example:
  trunkline server test time --config trunkline.yaml

Exit codes: 0 the server answered, 1 it did not.")]
    Test {
        /// The server's name in the configuration.
        #[arg(value_parser = ServerName::new)]
        name: ServerName,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Show what a server of the running hub wrote to its standard error.
    #[command(after_help = "Example:
  trunkline server logs files")]
    Logs {
        /// The server's name in the configuration.
        #[arg(value_parser = ServerName::new)]
        name: ServerName,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: ServerArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        ServerCommand::List { hub } => list::run(&hub, output).await,
        ServerCommand::Test { name, hub } => Box::pin(test::run(&name, &hub, output)).await,
        ServerCommand::Logs { name, hub } => logs::run(&name, &hub, output).await,
    }
}
