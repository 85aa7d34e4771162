//! `trunkline login revoke`.

use serde::Serialize;
use trunkline_model::{Clock as _, SessionId, SystemClock};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::user_named;
use crate::output::{Outcome, Output, counted};

#[derive(Debug, Serialize)]
struct Revoked {
    /// How many sessions this command ended.
    ended: u64,
}

pub(super) async fn run(
    id: Option<SessionId>,
    user: Option<&str>,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let now = SystemClock.now();
    let sessions = store.browser_sessions();
    let ended = match (id, user) {
        (Some(id), _) => u64::from(sessions.revoke(id, now).await?),
        (None, Some(user)) => sessions.revoke_all_of(user_named(&store, user).await?.id, now).await?,
        (None, None) => 0,
    };
    store.close().await;
    if ended == 0 {
        output.error("there is no such session, or it has ended before");
        return Ok(Outcome::Negative);
    }
    announce_change(&hub.data(), output).await;
    let count = usize::try_from(ended).unwrap_or(usize::MAX);
    output.result(format_args!("{} ended", counted(count, "session")), &Revoked { ended });
    Ok(Outcome::Done)
}
