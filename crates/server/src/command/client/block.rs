//! `trunkline client block`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Blocked {
    id: String,
    blocked: bool,
    /// Whether it was this command that changed it.
    changed_now: bool,
}

pub(super) async fn run(id: &str, undo: bool, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let changed_now = if undo {
        store.clients().unblock(id).await?
    } else {
        store.clients().block(id, SystemClock.now()).await?
    };
    let known = changed_now || store.clients().find(id).await?.is_some();
    store.close().await;
    if !known {
        output.error(format_args!("there is no client {id}"));
        return Ok(Outcome::Negative);
    }
    if changed_now {
        announce_change(&hub.data(), output).await;
    }
    let words = match (undo, changed_now) {
        (false, true) => "is blocked, and what users granted it is revoked",
        (false, false) => "was blocked before",
        (true, true) => "is let in again",
        (true, false) => "was not blocked",
    };
    output.result(format_args!("{id} {words}"), &Blocked { id: id.to_owned(), blocked: !undo, changed_now });
    Ok(Outcome::Done)
}
