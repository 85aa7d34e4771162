//! `trunkline login`: who is signed in, and ways in.

pub(super) mod link;
mod list;
mod revoke;
mod scim_token;

use clap::Subcommand;
use trunkline_model::SessionId;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Browser sessions, sign-in links, and the token of a directory that provisions users.
///
/// Works beside a running hub, in which it takes effect at once, and without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline login list
  trunkline login revoke sess_0192f0c17cf87e3f8a5d1f2e3c4b5a69
  trunkline login link ann@example.org
  trunkline login scim-token")]
pub(super) struct LoginArgs {
    #[command(subcommand)]
    command: LoginCommand,
}

#[derive(Debug, Subcommand)]
enum LoginCommand {
    /// List who is signed in, in which browser.
    #[command(after_help = "Example:
  trunkline login list --json | jq -r '.sessions[] | select(.login == \"ann@example.org\") | .id'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// End a session, or all sessions of a user, and with all of them what servers are shown of the user's sign-ins.
    #[command(after_help = "Examples:
  trunkline login revoke sess_0192f0c17cf87e3f8a5d1f2e3c4b5a69
  trunkline login revoke --user ann@example.org

Exit codes: 0 ended, 1 there was nothing to end.")]
    Revoke {
        /// The session's id, as `login list` shows it.
        #[arg(value_name = "ID", required_unless_present = "user")]
        id: Option<SessionId>,
        /// All sessions of this user, by sign-in name or id.
        #[arg(long, value_name = "USER", conflicts_with = "id")]
        user: Option<String>,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Print a link with which a user signs in, once within a day.
    #[command(after_help = "Example:
  trunkline login link ann@example.org")]
    Link {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Print a new token for the directory that provisions users by SCIM, in place of the one before.
    #[command(after_help = "Examples:
  trunkline login scim-token
  trunkline login scim-token --revoke")]
    ScimToken {
        /// Make none: the directory is let in no more.
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: LoginArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        LoginCommand::List { hub } => Box::pin(list::run(&hub, output)).await,
        LoginCommand::Revoke { id, user, hub } => {
            Box::pin(revoke::run(id, user.as_deref(), &hub, output)).await
        }
        LoginCommand::Link { user, hub } => Box::pin(link::run(&user, "link", &hub, output)).await,
        LoginCommand::ScimToken { revoke, hub } => Box::pin(scim_token::run(revoke, &hub, output)).await,
    }
}
