//! `trunkline client`: OAuth clients, and what users granted them.

mod block;
mod create;
mod delete;
mod grants;
mod list;
mod revoke;
mod rotate;
mod show;

use std::time::Duration;

use clap::Subcommand;
use trunkline_model::GrantId;

use super::hub_args::HubArgs;
use crate::config::parse_duration;
use crate::output::{Outcome, Output};

/// Make, list, rotate, block and delete OAuth clients, and revoke what users granted them.
///
/// Works beside a running hub, in which it takes effect at once, and without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline client create ci --service-account robot --confidential
  trunkline client list
  trunkline client grants --user ann@example.com
  trunkline client revoke grant_0192f0c17cf87e3f8a5d1f2e3c4b5a69")]
pub(super) struct ClientArgs {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// List the clients: those that operators made, that registered themselves, and that have a document.
    #[command(after_help = "Example:
  trunkline client list --json | jq -r '.clients[] | select(.kind == \"dynamic\") | .id'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Show one client, with its redirect URIs and grants.
    #[command(after_help = "Example:
  trunkline client show ci

Exit codes: 0 it is shown, 1 there is no such client.")]
    Show {
        /// The client's id.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Make a client and show its secret, this once.
    #[command(after_help = "Examples:
  trunkline client create portal --confidential --redirect-uri https://portal.example/callback
  trunkline client create ci --confidential --service-account robot")]
    Create {
        #[command(flatten)]
        wanted: create::CreateArgs,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Block a client: it gets nothing more, and what users granted it is revoked.
    #[command(after_help = "Example:
  trunkline client block https://app.example/client.json

Exit codes: 0 it is blocked, 1 there is no such client.")]
    Block {
        /// The client's id.
        #[arg(value_name = "ID")]
        id: String,
        /// Let it in again; its users sign in anew.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Give a client another secret and show it, this once; the one before it stays good for a while.
    #[command(after_help = "Example:
  trunkline client rotate ci --grace 12h

Exit codes: 0 the new secret is printed, 1 there is no such client, it has no secret, or it is blocked.")]
    Rotate {
        /// The client's id.
        #[arg(value_name = "ID")]
        id: String,
        /// How long the secret before it stays good.
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_duration)]
        grace: Duration,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Delete a client, with what users allowed and granted it.
    #[command(after_help = "Example:
  trunkline client delete client_0192f0c17cf87e3f8a5d1f2e3c4b5a69

Exit codes: 0 it is deleted, 1 there is no such client.")]
    Delete {
        /// The client's id.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// List what users granted clients.
    #[command(after_help = "Example:
  trunkline client grants --client ci --json | jq -r '.grants[] | select(.live) | .id'")]
    Grants {
        /// Only those of this client.
        #[arg(long, value_name = "ID")]
        client: Option<String>,
        /// Only those of the user who signs in with this.
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Revoke a grant: the next call with a token of it is refused.
    #[command(after_help = "Example:
  trunkline client revoke grant_0192f0c17cf87e3f8a5d1f2e3c4b5a69

Exit codes: 0 its tokens open nothing any more, 1 there is no such grant.")]
    Revoke {
        /// The grant's id, as `client grants` shows it.
        #[arg(value_name = "GRANT")]
        id: GrantId,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: ClientArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        ClientCommand::List { hub } => Box::pin(list::run(&hub, output)).await,
        ClientCommand::Show { id, hub } => Box::pin(show::run(&id, &hub, output)).await,
        ClientCommand::Create { wanted, hub } => Box::pin(create::run(wanted, &hub, output)).await,
        ClientCommand::Block { id, undo, hub } => Box::pin(block::run(&id, undo, &hub, output)).await,
        ClientCommand::Rotate { id, grace, hub } => Box::pin(rotate::run(&id, grace, &hub, output)).await,
        ClientCommand::Delete { id, hub } => Box::pin(delete::run(&id, &hub, output)).await,
        ClientCommand::Grants { client, user, hub } => {
            let wanted = grants::Wanted { client, user };
            Box::pin(grants::run(&wanted, &hub, output)).await
        }
        ClientCommand::Revoke { id, hub } => Box::pin(revoke::run(id, &hub, output)).await,
    }
}
