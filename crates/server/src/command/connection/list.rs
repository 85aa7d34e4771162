//! `trunkline connection list`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HubArgs;
use crate::output::{Outcome, Output, Table};

/// `GET /api/v1/connections`.
#[derive(Debug, Serialize, Deserialize)]
struct Connections {
    connections: Vec<Connection>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Connection {
    server: String,
    owner: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_exchange: Option<String>,
    /// What the table has no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let found: Connections = hub.with_api(async |api| api.get("/api/v1/connections").await).await?;
    let mut table = Table::with_header(&["SERVER", "OWNER", "STATE", "SCOPES", "EXPIRES", "LAST USED"]);
    for connection in &found.connections {
        let state = match &connection.reason {
            Some(reason) => format!("{} ({reason})", connection.state),
            None => connection.state.clone(),
        };
        table.row([
            connection.server.clone(),
            connection.owner.clone(),
            state,
            connection.scopes.join(" "),
            connection.expires_at.clone().unwrap_or_default(),
            connection.last_exchange.clone().unwrap_or_else(|| "never".to_owned()),
        ]);
    }
    output.result(table, &found);
    Ok(Outcome::Done)
}
