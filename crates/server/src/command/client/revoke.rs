//! `trunkline client revoke`.

use serde::Serialize;
use trunkline_model::{Clock as _, GrantId, SystemClock};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Revoked {
    id: String,
    /// Whether it was this command that revoked it.
    revoked_now: bool,
}

pub(super) async fn run(id: GrantId, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let found = store.grants().find(id).await?;
    let revoked_now = store.grants().revoke(id, SystemClock.now(), "an operator revoked it").await?;
    if let Some(grant) = &found {
        // Else the client would be let in again without a question.
        store.consents().forget(grant.user, &grant.client, &grant.profile).await?;
    }
    store.close().await;
    if found.is_none() {
        output.error(format_args!("there is no grant {id}"));
        return Ok(Outcome::Negative);
    }
    if revoked_now {
        announce_change(&hub.data(), output).await;
    }
    let words = if revoked_now { "is revoked" } else { "was revoked before" };
    output.result(format_args!("{id} {words}"), &Revoked { id: id.to_string(), revoked_now });
    Ok(Outcome::Done)
}
