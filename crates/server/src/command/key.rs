//! `trunkline key`: API keys.

mod create;
mod list;
mod revoke;
mod rotate;

use std::time::Duration;

use clap::Subcommand;
use trunkline_model::{KeyId, ProfileName};

use super::hub_args::HubArgs;
use crate::config::parse_duration;
use crate::output::{Outcome, Output};

pub(super) use create::{OwnerName, Wanted, create};

/// Make, list, rotate and revoke API keys.
///
/// Works beside a running hub, in which it takes effect at once, and without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline key create --profile engineering --name ci --expires 90d
  trunkline key create --profile engineering --user ann@example.org
  trunkline key list
  trunkline key rotate key_0192f0c17cf87e3f8a5d1f2e3c4b5a69 --grace 1d
  trunkline key revoke key_0192f0c17cf87e3f8a5d1f2e3c4b5a69")]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key for a profile and show it, this once.
    #[command(after_help = "Example:
  export TRUNKLINE_KEY=$(trunkline key create --profile engineering --json | jq -r .key)")]
    Create {
        /// The profile that the key opens.
        #[arg(long, value_name = "NAME", value_parser = ProfileName::new)]
        profile: ProfileName,
        /// What to call the key in lists and in the audit trail.
        #[arg(long, value_name = "TEXT", default_value = "unnamed", value_parser = label)]
        name: String,
        /// How long the key is good, such as 12h or 30d; for ever when absent.
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
        /// The user on whose behalf the key acts, by sign-in name or id.
        #[arg(long, value_name = "USER", conflicts_with_all = ["team", "service"])]
        user: Option<String>,
        /// The team on whose behalf the key acts, by name or id.
        #[arg(long, value_name = "TEAM", conflicts_with = "service")]
        team: Option<String>,
        /// The service account on whose behalf the key acts, by name or id.
        #[arg(long, value_name = "ACCOUNT")]
        service: Option<String>,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// List the keys, without the keys themselves.
    #[command(after_help = "Example:
  trunkline key list --json | jq -r '.keys[] | select(.live) | .id'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Give a key a new secret and show it, this once; the one before it stays good for a while.
    #[command(after_help = "Example:
  trunkline key rotate key_0192f0c17cf87e3f8a5d1f2e3c4b5a69 --grace 12h

Exit codes: 0 the new secret is printed, 1 there is no such key, or it is revoked.")]
    Rotate {
        /// The key's id, as `key list` shows it.
        #[arg(value_name = "ID")]
        id: KeyId,
        /// How long the secret before it stays good.
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_duration)]
        grace: Duration,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Revoke a key, for ever.
    #[command(after_help = "Example:
  trunkline key revoke key_0192f0c17cf87e3f8a5d1f2e3c4b5a69

Exit codes: 0 the key opens nothing any more, 1 there is no such key.")]
    Revoke {
        /// The key's id, as `key list` shows it.
        #[arg(value_name = "ID")]
        id: KeyId,
        #[command(flatten)]
        hub: HubArgs,
    },
}

pub(super) async fn run(args: KeyArgs, output: Output) -> anyhow::Result<Outcome> {
    match args.command {
        KeyCommand::Create { profile, name, expires, user, team, service, hub } => {
            let owner = user.or(service).map(OwnerName::User).or(team.map(OwnerName::Team));
            Box::pin(create::run(Wanted { profile, name, expires, owner }, &hub, output)).await
        }
        KeyCommand::List { hub } => Box::pin(list::run(&hub, output)).await,
        KeyCommand::Rotate { id, grace, hub } => Box::pin(rotate::run(id, grace, &hub, output)).await,
        KeyCommand::Revoke { id, hub } => Box::pin(revoke::run(id, &hub, output)).await,
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("a key that has expired already opens nothing".to_owned()),
        other => other,
    }
}

pub(super) fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 100 characters, on one line".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_short_line() {
        assert_eq!(label(" ci "), Ok("ci".to_owned()));
        for bad in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(label(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_lifetime_is_longer_than_nothing() {
        assert_eq!(lifetime("30d"), Ok(Duration::from_hours(720)));
        assert!(lifetime("0s").is_err() && lifetime("soon").is_err());
    }
}
