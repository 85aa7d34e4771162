//! `trunkline client list`.

use serde::Serialize;
use trunkline_model::{ClientKind, OauthClient, Timestamp};

use super::HubArgs;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    clients: Vec<Client>,
}

/// A client as lists show it.
#[derive(Debug, Serialize)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: ClientKind,
    /// Whether it has a secret.
    pub(super) confidential: bool,
    pub(super) registered_from: String,
    pub(super) created_at: String,
    pub(super) used_at: Option<String>,
    pub(super) blocked_at: Option<String>,
}

impl From<OauthClient> for Client {
    fn from(client: OauthClient) -> Self {
        Self {
            id: client.id,
            // Whoever registers chooses it: nothing of it may reach a terminal as a command.
            name: client.name.chars().filter(|character| !character.is_control()).collect(),
            kind: client.kind,
            confidential: client.secret_hash.is_some(),
            registered_from: client.registered_from,
            created_at: client.created_at.to_string(),
            used_at: client.used_at.as_ref().map(Timestamp::to_string),
            blocked_at: client.blocked_at.as_ref().map(Timestamp::to_string),
        }
    }
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let clients: Vec<Client> = store.clients().list().await?.into_iter().map(Client::from).collect();
    store.close().await;
    let mut table = Table::with_header(&["ID", "NAME", "KIND", "LAST USED", "STATE"]);
    for client in &clients {
        let state =
            client.blocked_at.as_ref().map_or_else(|| "live".to_owned(), |at| format!("blocked {at}"));
        table.row([
            client.id.clone(),
            client.name.clone(),
            client.kind.as_str().to_owned(),
            client.used_at.clone().unwrap_or_else(|| "never".to_owned()),
            state,
        ]);
    }
    output.result(table, &Listed { clients });
    Ok(Outcome::Done)
}
