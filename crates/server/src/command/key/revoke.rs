//! `trunkline key revoke`.

use serde::Serialize;
use trunkline_model::{Clock as _, KeyId, SystemClock};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Revoked {
    id: String,
    /// Whether it was this command that revoked it.
    revoked_now: bool,
}

pub(super) async fn run(id: KeyId, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let revoked_now = store.keys().revoke(id, SystemClock.now()).await?;
    let known = revoked_now || store.keys().find(id).await?.is_some();
    store.close().await;
    if revoked_now {
        announce_change(&hub.data(), output).await;
    }
    if !known {
        output.error(format_args!("there is no key {id}"));
        return Ok(Outcome::Negative);
    }
    let words = if revoked_now { "is revoked" } else { "was revoked before" };
    output.result(format_args!("{id} {words}"), &Revoked { id: id.to_string(), revoked_now });
    Ok(Outcome::Done)
}
