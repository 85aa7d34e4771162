//! `trunkline connection connect`.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use trunkline_model::ServerName;

use super::HubArgs;
use crate::api::{Api, segment};
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    url: String,
}

pub(super) async fn run(
    server: &ServerName,
    owner: Option<&str>,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let owner = owner.map(|owner| format!("?owner={}", segment(owner)));
    let path = format!("/api/v1/connections/{server}/connect{}", owner.unwrap_or_default());
    // Nobody else takes what the browser brings back.
    let api = Api::running(hub.data()).await?;
    let api = api.with_context(|| format!("no hub runs on {}", hub.data().path().display()))?;
    let link: Link = api.ask(http::Method::POST, &path, &()).await?;
    output.result(&link.url, &link);
    Ok(Outcome::Done)
}
