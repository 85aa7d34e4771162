//! `trunkline client list`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trunkline_model::ClientKind;

use super::HubArgs;
use crate::api::segment;
use crate::output::{Outcome, Output, Table, printable};

/// `GET /api/v1/clients`.
#[derive(Debug, Serialize, Deserialize)]
struct Clients {
    clients: Vec<Client>,
}

/// An OAuth client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: ClientKind,
    pub(super) registered_from: String,
    pub(super) created_at: String,
    pub(super) used_at: Option<String>,
    pub(super) blocked_at: Option<String>,
    /// What tables have no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Client {
    pub(super) fn state(&self) -> String {
        self.blocked_at.as_ref().map_or_else(|| "live".to_owned(), |at| format!("blocked {at}"))
    }
}

/// Where the admin API has a client.
pub(super) fn path_of(id: &str) -> String {
    format!("/api/v1/clients/{}", segment(id))
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed: Clients = hub.with_api(async |api| api.get("/api/v1/clients").await).await?;
    let mut table = Table::with_header(&["ID", "NAME", "KIND", "LAST USED", "STATE"]);
    for client in &listed.clients {
        table.row([
            client.id.clone(),
            printable(&client.name),
            client.kind.as_str().to_owned(),
            client.used_at.clone().unwrap_or_else(|| "never".to_owned()),
            client.state(),
        ]);
    }
    output.result(table, &listed);
    Ok(Outcome::Done)
}
