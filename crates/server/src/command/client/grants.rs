//! `trunkline client grants`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HubArgs;
use crate::api::Api;
use crate::command::named::user_named;
use crate::output::{Outcome, Output, Table};

/// Which grants to list.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) client: Option<String>,
    pub(super) user: Option<String>,
}

/// `GET /api/v1/grants`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grants {
    pub(super) grants: Vec<Grant>,
}

/// What a user granted a client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) id: String,
    user: String,
    login: String,
    client: String,
    profile: String,
    /// Whether its tokens open anything.
    live: bool,
    used_at: String,
    expires_at: String,
    pub(super) revoked_at: Option<String>,
    /// What the table has no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub(super) async fn run(wanted: &Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed = hub.with_api(async |api| list(wanted, api).await).await?;
    let mut table = Table::with_header(&["ID", "USER", "CLIENT", "PROFILE", "LAST USED", "STATE"]);
    for grant in &listed.grants {
        let state = match &grant.revoked_at {
            Some(at) => format!("revoked {at}"),
            None if grant.live => format!("until {}", grant.expires_at),
            None => format!("expired {}", grant.expires_at),
        };
        table.row([
            grant.id.clone(),
            grant.login.clone(),
            grant.client.clone(),
            grant.profile.clone(),
            grant.used_at.clone(),
            state,
        ]);
    }
    output.result(table, &listed);
    Ok(Outcome::Done)
}

async fn list(wanted: &Wanted, api: &Api) -> anyhow::Result<Grants> {
    let user = match &wanted.user {
        Some(name) => Some(user_named(api, name).await?.id),
        None => None,
    };
    let Grants { mut grants } = api.get("/api/v1/grants").await?;
    grants.retain(|grant| {
        wanted.client.as_ref().is_none_or(|client| *client == grant.client)
            && user.as_ref().is_none_or(|user| *user == grant.user)
    });
    Ok(Grants { grants })
}
