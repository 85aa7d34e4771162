//! `trunkline key list`.

use serde::Serialize;
use trunkline_model::{ApiKey, Clock as _, ProfileName, SystemClock, Timestamp};

use super::HubArgs;
use crate::command::named::Owners;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    keys: Vec<Key>,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    name: String,
    profile: ProfileName,
    /// How the key begins.
    hint: String,
    /// Whether it opens anything.
    live: bool,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// To a minute.
    last_used_at: Option<String>,
    /// On whose behalf its bearer acts: a sign-in name, or `team:` and a name.
    owner: Option<String>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let now = SystemClock.now();
    let owners = Owners::read(&store).await?;
    let keys: Vec<Key> =
        store.keys().list().await?.into_iter().map(|key| listed(key, &owners, now)).collect();
    store.close().await;
    let mut table = Table::with_header(&["ID", "NAME", "PROFILE", "KEY", "OWNER", "LAST USED", "STATE"]);
    for key in &keys {
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
            key.owner.clone().unwrap_or_else(|| "-".to_owned()),
            key.last_used_at.clone().unwrap_or_else(|| "never".to_owned()),
            state,
        ]);
    }
    output.result(table, &Listed { keys });
    Ok(Outcome::Done)
}

fn listed(key: ApiKey, owners: &Owners, now: Timestamp) -> Key {
    Key {
        live: key.is_live(now),
        owner: key.owner.map(|owner| owners.name(owner)),
        last_used_at: key.last_used_at.as_ref().map(Timestamp::to_string),
        id: key.id.to_string(),
        name: key.name,
        profile: key.profile,
        hint: key.hint,
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.as_ref().map(Timestamp::to_string),
        revoked_at: key.revoked_at.as_ref().map(Timestamp::to_string),
    }
}
