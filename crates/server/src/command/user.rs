//! `trunkline user`: people and service accounts.

mod change;
mod create;
mod delete;
mod list;
mod reset;

use clap::{Subcommand, ValueEnum};
use trunkline_model::{Role, User, UserKind};

use self::change::Change;
use super::hub_args::HubArgs;
use crate::output::{Outcome, Output};

/// Make, list, change and delete users and service accounts.
///
/// Works beside a running hub, in which it takes effect at once, and without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline user create ann@example.org --name Ann --role admin
  trunkline user create ci --service
  trunkline user list
  trunkline user disable ann@example.org")]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

/// A role on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleName {
    /// Uses profiles and manages what is theirs.
    Member,
    /// Reads everything that is configured and recorded.
    Auditor,
    /// Runs servers, clients, connections and profiles.
    Operator,
    /// All of that, and people below owner.
    Admin,
    /// All of that, and owners.
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Member => Self::Member,
            RoleName::Auditor => Self::Auditor,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
            RoleName::Owner => Self::Owner,
        }
    }
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user, and a link with which they sign in, once.
    #[command(after_help = "Example:
  trunkline user create ann@example.org --name Ann --role operator")]
    Create {
        /// What the user signs in with: a name or an e-mail address.
        #[arg(value_name = "LOGIN", value_parser = login)]
        login: String,
        /// What others see; the login when absent.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        #[arg(long, value_enum, default_value = "member")]
        role: RoleName,
        /// A service account: it has keys and clients, and nobody signs in as it.
        #[arg(long)]
        service: bool,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// List the users.
    #[command(after_help = "Example:
  trunkline user list --json | jq -r '.users[] | select(.role == \"owner\") | .login'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Give a user another role.
    #[command(after_help = "Example:
  trunkline user set-role ann@example.org auditor

Exit codes: 0 done, 1 there is no such user, or it is the last owner.")]
    SetRole {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[arg(value_enum)]
        role: RoleName,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Let a user in no more: ends their sessions, keys and grants.
    #[command(after_help = "Example:
  trunkline user disable ann@example.org

Exit codes: 0 done, 1 there is no such user, or it is the last owner.")]
    Disable {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Let a disabled user in again. Keys and sessions of before stay ended.
    #[command(after_help = "Example:
  trunkline user enable ann@example.org")]
    Enable {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Delete a user with everything that is theirs, for ever.
    #[command(after_help = "Example:
  trunkline user delete ann@example.org

Exit codes: 0 done, 1 there is no such user, or it is the last owner.")]
    Delete {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Take away a user's password and sessions, and print a link with which they sign in, once.
    #[command(after_help = "Example:
  trunkline user reset ann@example.org")]
    Reset {
        /// The user's sign-in name or id.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: UserArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        UserCommand::Create { login, name, role, service, hub } => {
            let kind = if service { UserKind::Service } else { UserKind::Person };
            let wanted = create::Wanted { login, name, role: role.into(), kind };
            Box::pin(create::run(wanted, &hub, output)).await
        }
        UserCommand::List { hub } => Box::pin(list::run(&hub, output)).await,
        UserCommand::SetRole { user, role, hub } => {
            let change = Change { role: Some(role.into()), ..Change::default() };
            Box::pin(change::run(&user, change, &hub, output)).await
        }
        UserCommand::Disable { user, hub } => {
            let change = Change { disabled: Some(true), ..Change::default() };
            Box::pin(change::run(&user, change, &hub, output)).await
        }
        UserCommand::Enable { user, hub } => {
            let change = Change { disabled: Some(false), ..Change::default() };
            Box::pin(change::run(&user, change, &hub, output)).await
        }
        UserCommand::Delete { user, hub } => Box::pin(delete::run(&user, &hub, output)).await,
        UserCommand::Reset { user, hub } => Box::pin(reset::run(&user, &hub, output)).await,
    }
}

pub(super) fn login(text: &str) -> Result<String, String> {
    User::login_from(text)
        .ok_or_else(|| "a sign-in name has 1 to 200 characters, none of them blank".to_owned())
}
