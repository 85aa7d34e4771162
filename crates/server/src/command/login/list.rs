//! `trunkline login list`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HubArgs;
use crate::output::{Outcome, Output, Table, printable};

/// `GET /api/v1/sessions`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
}

/// Somebody signed in, in a browser.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    user: String,
    login: String,
    /// `password`, `link`, or the name of an issuer.
    method: String,
    user_agent: String,
    created_at: String,
    /// To some minutes.
    seen_at: String,
    /// What the table has no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed: Sessions = hub.with_api(async |api| api.get("/api/v1/sessions").await).await?;
    let mut table = Table::with_header(&["ID", "USER", "BY", "SINCE", "LAST SEEN", "BROWSER"]);
    for session in &listed.sessions {
        table.row([
            session.id.clone(),
            session.login.clone(),
            session.method.clone(),
            session.created_at.clone(),
            session.seen_at.clone(),
            printable(&session.user_agent),
        ]);
    }
    output.result(table, &listed);
    Ok(Outcome::Done)
}
