//! `trunkline key list`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trunkline_model::ProfileName;

use super::HubArgs;
use crate::output::{Outcome, Output, Table};

/// `GET /api/v1/keys`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
}

/// An API key, without the key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
    name: String,
    profile: ProfileName,
    /// How the key begins.
    hint: String,
    /// Whether it opens anything.
    live: bool,
    expires_at: Option<String>,
    pub(super) revoked_at: Option<String>,
    /// To a minute.
    last_used_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    /// What the table has no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed: Keys = hub.with_api(async |api| api.get("/api/v1/keys").await).await?;
    let mut table = Table::with_header(&["ID", "NAME", "PROFILE", "KEY", "OWNER", "LAST USED", "STATE"]);
    for key in &listed.keys {
        let state = match (&key.revoked_at, &key.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) if key.live => format!("expires {at}"),
            (None, Some(at)) => format!("expired {at}"),
            (None, None) => "live".to_owned(),
        };
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.profile.to_string(),
            format!("{}…", key.hint),
            key.owner_name.clone().unwrap_or_else(|| "-".to_owned()),
            key.last_used_at.clone().unwrap_or_else(|| "never".to_owned()),
            state,
        ]);
    }
    output.result(table, &listed);
    Ok(Outcome::Done)
}
