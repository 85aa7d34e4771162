//! `trunkline connection disconnect`.

use serde::Serialize;
use trunkline_model::ServerName;

use super::HubArgs;
use crate::api::segment;
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
    let path = format!("/api/v1/connections/{server}/{}", segment(owner));
    hub.with_api(async |api| api.tell(http::Method::DELETE, &path, &()).await).await?;
    let done = Disconnected { server: server.to_string(), owner: owner.to_owned() };
    output.result(format_args!("{server} is no longer connected for {owner}"), &done);
    Ok(Outcome::Done)
}
