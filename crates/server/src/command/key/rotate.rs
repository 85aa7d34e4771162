//! `trunkline key rotate`.

use std::time::Duration;

use serde::Serialize;
use trunkline_model::{Clock as _, KeyId, SystemClock};
use trunkline_oauth::keys;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Rotated {
    id: String,
    /// The only time that it is shown.
    key: String,
    /// Until then the secret before it is good.
    previous_until: String,
}

pub(super) async fn run(
    id: KeyId,
    grace: Duration,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let minted = keys::mint(&mut rand::rng());
    let until = SystemClock.now().plus(grace);
    let is_rotated = store.keys().rotate(id, minted.hash, &minted.hint, until).await?;
    store.close().await;
    if !is_rotated {
        output.error(format_args!("there is no key {id}, or it is revoked"));
        return Ok(Outcome::Negative);
    }
    announce_change(&hub.data(), output).await;
    output.note(format_args!(
        "The secret of {id} before this one is good until {until}. The new one is shown this once:"
    ));
    let rotated = Rotated {
        id: id.to_string(),
        key: minted.key.expose().to_owned(),
        previous_until: until.to_string(),
    };
    output.result(&rotated.key, &rotated);
    Ok(Outcome::Done)
}
