//! `trunkline connection`: grants at upstream servers, and the clients they stand on.

mod clients;
mod connect;
mod disconnect;
mod list;

use clap::Subcommand;
use trunkline_model::ServerName;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Connect upstream servers that want a consent, and look after what was given.
///
/// Works beside a running hub, in which it takes effect at once, and without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline connection list
  trunkline connection connect tracker
  trunkline connection disconnect tracker --owner usr_0192f0c17cf87e3f8a5d1f2e3c4b5a69
  trunkline connection clients list")]
pub(super) struct ConnectionArgs {
    #[command(subcommand)]
    command: ConnectionCommand,
}

#[derive(Debug, Subcommand)]
enum ConnectionCommand {
    /// List the connections and how they fare.
    #[command(after_help = "Example:
  trunkline connection list --json | jq -r '.connections[] | select(.state == \"needs_consent\") | .server'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Print the link that connects a server; it is opened in a browser.
    ///
    /// Needs a running hub, to which the browser comes back.
    ///
    /// For a server with `per: shared` the link is good once, for ten minutes, and whoever opens it
    /// consents for everybody. For one with `per: user` each person opens it and connects for themselves.
    #[command(after_help = "Example:
  xdg-open $(trunkline connection connect tracker --json | jq -r .url)")]
    Connect {
        /// The server's name in the configuration.
        #[arg(value_parser = ServerName::new)]
        server: ServerName,
        /// Whose consent it will be, for those who cannot sign in here: the id of a user or of an API key without one.
        #[arg(long, value_name = "ID")]
        owner: Option<String>,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// End a connection: its tokens are revoked where that can be done, and erased.
    #[command(after_help = "Example:
  trunkline connection disconnect tracker

Exit codes: 0 it is ended, 1 there is none.")]
    Disconnect {
        /// The server's name.
        #[arg(value_parser = ServerName::new)]
        server: ServerName,
        /// Whose connection, as `connection list` shows it.
        #[arg(long, value_name = "ID", default_value = "shared")]
        owner: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// What the hub is at the authorization servers of upstream servers.
    Clients(clients::ClientsArgs),
}

pub(super) async fn run(args: ConnectionArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        ConnectionCommand::List { hub } => list::run(&hub, output).await,
        ConnectionCommand::Connect { server, owner, hub } => {
            connect::run(&server, owner.as_deref(), &hub, output).await
        }
        ConnectionCommand::Disconnect { server, owner, hub } => {
            disconnect::run(&server, &owner, &hub, output).await
        }
        ConnectionCommand::Clients(args) => clients::run(args, output).await,
    }
}
