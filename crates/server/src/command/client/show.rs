//! `trunkline client show`.

use serde::Serialize;
use serde_json::Value;
use trunkline_model::{Clock as _, SystemClock};

use super::HubArgs;
use super::list::Client;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    client: Client,
    /// What the client says of itself (RFC 7591 section 2).
    metadata: Value,
    /// Grants that are live.
    live_grants: usize,
}

pub(super) async fn run(id: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let found = store.clients().find(id).await?;
    let grants = store.grants().list().await?;
    store.close().await;
    let Some(client) = found else {
        output.error(format_args!("there is no client {id}"));
        return Ok(Outcome::Negative);
    };
    let now = SystemClock.now();
    let live_grants = grants.iter().filter(|grant| grant.client == id && grant.is_live(now)).count();
    let metadata: Value = serde_json::from_str(&client.metadata)?;
    let shown = Shown { client: client.into(), metadata, live_grants };
    let mut table = Table::with_header(&["", ""]);
    let state =
        shown.client.blocked_at.as_ref().map_or_else(|| "live".to_owned(), |at| format!("blocked {at}"));
    for (name, value) in [
        ("id", shown.client.id.clone()),
        ("name", shown.client.name.clone()),
        ("kind", shown.client.kind.as_str().to_owned()),
        ("state", state),
        ("registered from", shown.client.registered_from.clone()),
        ("registered at", shown.client.created_at.clone()),
        ("last used", shown.client.used_at.clone().unwrap_or_else(|| "never".to_owned())),
        ("live grants", shown.live_grants.to_string()),
        ("metadata", shown.metadata.to_string()),
    ] {
        table.row([name.to_owned(), value]);
    }
    output.result(table, &shown);
    Ok(Outcome::Done)
}
