//! `trunkline connection connect`.

use serde::{Deserialize, Serialize};
use trunkline_model::ServerName;
use url::form_urlencoded::byte_serialize;

use super::HubArgs;
use crate::control::Control;
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
    let control = Control::running(&hub.data()).await?;
    let owner = owner.map(|owner| format!("?owner={}", byte_serialize(owner.as_bytes()).collect::<String>()));
    let path = format!("/api/v1/connections/{server}/connect{}", owner.unwrap_or_default());
    let link: Link = control.ask(http::Method::POST, &path).await?;
    output.result(&link.url, &link);
    Ok(Outcome::Done)
}
