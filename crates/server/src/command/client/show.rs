//! `trunkline client show`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HubArgs;
use super::list::{Client, path_of};
use crate::output::{Outcome, Output, Table, printable};

/// `GET /api/v1/clients/{id}`.
#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    /// What the client says of itself (RFC 7591 section 2).
    metadata: Value,
    /// Grants that are live.
    live_grants: usize,
    #[serde(flatten)]
    client: Client,
}

pub(super) async fn run(id: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let shown: Shown = hub.with_api(async |api| api.get(&path_of(id)).await).await?;
    let mut table = Table::with_header(&["", ""]);
    for (name, value) in [
        ("id", shown.client.id.clone()),
        ("name", printable(&shown.client.name)),
        ("kind", shown.client.kind.as_str().to_owned()),
        ("state", shown.client.state()),
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
