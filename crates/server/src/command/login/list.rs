//! `trunkline login list`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock};

use super::HubArgs;
use crate::command::named::Owners;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    sessions: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    /// By what they sign in with.
    user: String,
    /// `password`, `link`, or the name of an issuer.
    method: String,
    user_agent: String,
    created_at: String,
    /// To some minutes.
    seen_at: String,
    expires_at: String,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.existing_store(&config).await?;
    let names = Owners::read(&store).await?;
    let sessions: Vec<Shown> = store
        .browser_sessions()
        .live(SystemClock.now())
        .await?
        .into_iter()
        .map(|(_, session)| Shown {
            id: session.id.to_string(),
            user: names.user(session.user),
            method: session.method,
            user_agent: session.user_agent,
            created_at: session.created_at.to_string(),
            seen_at: session.seen_at.to_string(),
            expires_at: session.expires_at.to_string(),
        })
        .collect();
    store.close().await;
    let mut table = Table::with_header(&["ID", "USER", "BY", "SINCE", "LAST SEEN", "BROWSER"]);
    for session in &sessions {
        table.row([
            session.id.clone(),
            session.user.clone(),
            session.method.clone(),
            session.created_at.clone(),
            session.seen_at.clone(),
            printable(&session.user_agent),
        ]);
    }
    output.result(table, &Listed { sessions });
    Ok(Outcome::Done)
}

/// A browser may call itself anything: nothing of it steers a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}
