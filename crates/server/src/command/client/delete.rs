//! `trunkline client delete`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
}

pub(super) async fn run(id: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let deleted = store.clients().delete(id, SystemClock.now()).await?;
    store.close().await;
    if !deleted {
        output.error(format_args!("there is no client {id}"));
        return Ok(Outcome::Negative);
    }
    announce_change(&hub.data(), output).await;
    output.result(format_args!("{id} is deleted"), &Deleted { id: id.to_owned() });
    Ok(Outcome::Done)
}
