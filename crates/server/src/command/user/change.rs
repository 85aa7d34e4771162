//! `trunkline user set-role`, `disable` and `enable`.

use serde::Serialize;
use trunkline_model::{Clock as _, Role, SystemClock, User};
use trunkline_storage::{Changed, UserChange};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::user_named;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    login: String,
    role: Role,
    enabled: bool,
}

pub(super) async fn run(
    user: &str,
    change: UserChange,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let user = user_named(&store, user).await?;
    // Whoever can open the data directory is as good as an owner.
    let changed = store.users().change(user.id, change, Role::Owner, SystemClock.now()).await?;
    store.close().await;
    match outcome(changed, &user) {
        Ok(user) => {
            announce_change(&hub.data(), output).await;
            let state = if user.disabled_at.is_none() { "enabled" } else { "disabled" };
            let words = format!("{}: {}, {state}", user.login, user.role.as_str());
            let shown = Shown {
                id: user.id.to_string(),
                role: user.role,
                enabled: user.disabled_at.is_none(),
                login: user.login,
            };
            output.result(words, &shown);
            Ok(Outcome::Done)
        }
        Err(words) => {
            output.error(words);
            Ok(Outcome::Negative)
        }
    }
}

/// The user as they are now, or why not.
pub(super) fn outcome(changed: Changed, asked: &User) -> Result<User, String> {
    match changed {
        Changed::Done(user) => Ok(user),
        Changed::Absent => Err(format!("there is no user `{}` any more", asked.login)),
        Changed::LastOwner => Err(format!(
            "`{}` is the last owner who can sign in; make another user an owner first",
            asked.login
        )),
        Changed::Forbidden => Err("that takes a higher role".to_owned()),
        Changed::LoginTaken => Err("somebody else has that sign-in name".to_owned()),
    }
}
