//! `trunkline user delete`.

use serde::Serialize;
use trunkline_model::{Clock as _, Role, SystemClock};

use super::HubArgs;
use super::change::outcome;
use crate::command::hub_args::announce_change;
use crate::command::named::user_named;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
    login: String,
}

pub(super) async fn run(user: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let user = user_named(&store, user).await?;
    let changed = store.users().delete(user.id, Role::Owner, SystemClock.now()).await?;
    store.close().await;
    match outcome(changed, &user) {
        Ok(user) => {
            announce_change(&hub.data(), output).await;
            let deleted = Deleted { id: user.id.to_string(), login: user.login };
            output.result(format_args!("{} is deleted", deleted.login), &deleted);
            Ok(Outcome::Done)
        }
        Err(words) => {
            output.error(words);
            Ok(Outcome::Negative)
        }
    }
}
