//! `trunkline connection disconnect`.

use serde::Serialize;
use trunkline_model::ServerName;
use url::form_urlencoded::byte_serialize;

use super::HubArgs;
use crate::control::Control;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Disconnected {
    server: String,
    owner: String,
}

pub(super) async fn run(
    server: &ServerName,
    owner: &str,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let control = Control::running(&hub.data()).await?;
    let encoded: String = byte_serialize(owner.as_bytes()).collect();
    control.tell(http::Method::DELETE, &format!("/api/v1/connections/{server}/{encoded}")).await?;
    let done = Disconnected { server: server.to_string(), owner: owner.to_owned() };
    output.result(format_args!("{server} is no longer connected for {owner}"), &done);
    Ok(Outcome::Done)
}
