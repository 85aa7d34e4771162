//! `trunkline client grants`.

use std::collections::HashMap;

use anyhow::anyhow;
use serde::Serialize;
use trunkline_model::{Clock as _, Grant, GrantFlow, SystemClock, Timestamp, UserId};

use super::HubArgs;
use crate::output::{Outcome, Output, Table};

/// Which grants to list.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) client: Option<String>,
    pub(super) user: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listed {
    grants: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    user: String,
    client: String,
    profile: String,
    scope: String,
    flow: GrantFlow,
    /// Whether its tokens open anything.
    live: bool,
    created_at: String,
    used_at: String,
    expires_at: String,
    revoked_at: Option<String>,
    revoked_because: Option<String>,
}

pub(super) async fn run(wanted: &Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let users = store.users().list().await?;
    let grants = store.grants().list().await?;
    store.close().await;
    let logins: HashMap<UserId, &str> = users.iter().map(|user| (user.id, user.login.as_str())).collect();
    if let Some(user) = &wanted.user
        && !logins.values().any(|login| login.eq_ignore_ascii_case(user))
    {
        return Err(anyhow!("there is no user `{user}`"));
    }
    let now = SystemClock.now();
    let grants: Vec<Shown> = grants
        .into_iter()
        .map(|grant| shown(grant, &logins, now))
        .filter(|grant| wanted.client.as_ref().is_none_or(|client| *client == grant.client))
        .filter(|grant| wanted.user.as_ref().is_none_or(|user| user.eq_ignore_ascii_case(&grant.user)))
        .collect();
    let mut table = Table::with_header(&["ID", "USER", "CLIENT", "PROFILE", "LAST USED", "STATE"]);
    for grant in &grants {
        let state = match &grant.revoked_at {
            Some(at) => format!("revoked {at}"),
            None if grant.live => format!("until {}", grant.expires_at),
            None => format!("expired {}", grant.expires_at),
        };
        table.row([
            grant.id.clone(),
            grant.user.clone(),
            grant.client.clone(),
            grant.profile.clone(),
            grant.used_at.clone(),
            state,
        ]);
    }
    output.result(table, &Listed { grants });
    Ok(Outcome::Done)
}

fn shown(grant: Grant, logins: &HashMap<UserId, &str>, now: Timestamp) -> Shown {
    Shown {
        live: grant.is_live(now),
        id: grant.id.to_string(),
        user: logins.get(&grant.user).map_or_else(|| grant.user.to_string(), |login| (*login).to_owned()),
        client: grant.client,
        profile: grant.profile.to_string(),
        scope: grant.scope,
        flow: grant.flow,
        created_at: grant.created_at.to_string(),
        used_at: grant.used_at.to_string(),
        expires_at: grant.expires_at.to_string(),
        revoked_at: grant.revoked_at.as_ref().map(Timestamp::to_string),
        revoked_because: grant.revoked_because,
    }
}
