//! `trunkline team`: users under one name.

mod create;
mod delete;
mod list;
mod member;

use clap::Subcommand;

use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Make, list, change and delete teams.
///
/// A profile names teams in `members`, and keys can be a team's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline team create platform
  trunkline team add platform ann@example.org
  trunkline team list")]
pub(super) struct TeamArgs {
    #[command(subcommand)]
    command: TeamCommand,
}

#[derive(Debug, Subcommand)]
enum TeamCommand {
    /// Make a team.
    #[command(after_help = "Example:
  trunkline team create platform")]
    Create {
        #[arg(value_name = "NAME", value_parser = super::key::label)]
        name: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// List the teams and their members.
    #[command(after_help = "Example:
  trunkline team list --json | jq -r '.teams[].name'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Put a user into a team.
    #[command(after_help = "Example:
  trunkline team add platform ann@example.org")]
    Add {
        /// The team's name or id.
        #[arg(value_name = "TEAM")]
        team: String,
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Take a user out of a team.
    #[command(after_help = "Example:
  trunkline team remove platform ann@example.org")]
    Remove {
        /// The team's name or id.
        #[arg(value_name = "TEAM")]
        team: String,
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Delete a team with its keys, for ever. Its members stay users.
    #[command(after_help = "Example:
  trunkline team delete platform")]
    Delete {
        /// The team's name or id.
        #[arg(value_name = "TEAM")]
        team: String,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: TeamArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        TeamCommand::Create { name, hub } => Box::pin(create::run(name, &hub, output)).await,
        TeamCommand::List { hub } => Box::pin(list::run(&hub, output)).await,
        TeamCommand::Add { team, user, hub } => {
            Box::pin(member::run(member::Change::Add, &team, &user, &hub, output)).await
        }
        TeamCommand::Remove { team, user, hub } => {
            Box::pin(member::run(member::Change::Remove, &team, &user, &hub, output)).await
        }
        TeamCommand::Delete { team, hub } => Box::pin(delete::run(&team, &hub, output)).await,
    }
}
