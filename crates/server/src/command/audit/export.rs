//! `trunkline audit export`.

use serde::Serialize;
use serde_json::value::RawValue;
use trunkline_model::ProfileName;
use trunkline_profiles::Export;
use trunkline_storage::AuditRow;

use super::HubArgs;
use crate::output::{Outcome, Output};

/// A line of the export: the event in the very bytes that were hashed, and its place in the chain.
#[derive(Debug, Serialize)]
struct Line<'a> {
    chain: String,
    seq: i64,
    prev_hash: String,
    hash: String,
    event: &'a RawValue,
}

pub(super) async fn run(
    profile: Option<&ProfileName>,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.whole_trail(&config).await?;
    let mut export = Export::new(&store).await?;
    while let Some(rows) = export.next_page().await? {
        for row in rows.iter().filter(|row| belongs_to(row, profile)) {
            output.json_line(&Line {
                chain: row.chain.to_string(),
                seq: row.seq,
                prev_hash: hex(&row.prev_hash),
                hash: hex(&row.hash),
                event: serde_json::from_str(&row.payload)?,
            });
        }
    }
    store.close().await;
    Ok(Outcome::Done)
}

fn belongs_to(row: &AuditRow, profile: Option<&ProfileName>) -> bool {
    #[derive(serde::Deserialize)]
    struct Event {
        profile: Option<ProfileName>,
    }

    let Some(wanted) = profile else { return true };
    serde_json::from_str::<Event>(&row.payload).is_ok_and(|event| event.profile.as_ref() == Some(wanted))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| format!("{text}{byte:02x}"))
}
