//! Whether the trail is as it was written.

use serde::{Deserialize, Serialize};
use trunkline_model::Timestamp;
use trunkline_storage::{AuditRow, Store, StoreError};
use uuid::Uuid;

use super::chain::{Head, hash_of};
use super::export::Export;

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    pub chains: u64,
    pub events: u64,
    /// The first fault in each broken chain, the oldest chain first. What
    /// follows a fault in its chain proves nothing.
    pub faults: Vec<Fault>,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub chain: Uuid,
    /// The number of the line at fault.
    pub seq: i64,
    pub kind: FaultKind,
}

/// How a line is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// There is no line with this number, but there are later ones.
    Missing,
    /// It was not written after the line that now stands before it.
    Misplaced,
    /// Its content is not what was hashed.
    Edited,
}

impl VerifyReport {
    /// Whether nothing was edited, removed or moved.
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn first_fault(&self) -> Option<&Fault> {
        self.faults.first()
    }
}

/// Reads the whole trail and checks every line against the one before.
///
/// # Errors
/// [`StoreError`] when the trail cannot be read.
pub async fn verify(store: &Store) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    let mut export = Export::new(store).await?;
    let mut head: Option<Head> = None;
    let mut broken: Option<Uuid> = None;
    while let Some(rows) = export.next_page().await? {
        for row in rows {
            report.events += 1;
            let before = match head {
                Some(head) if head.chain == row.chain => head,
                _ => {
                    report.chains += 1;
                    Head::start_of(row.chain)
                }
            };
            if broken != Some(row.chain)
                && let Some(fault) = fault_of(&row, before)
            {
                broken = Some(row.chain);
                report.faults.push(fault);
            }
            head = Some(Head { chain: row.chain, seq: row.seq, hash: row.hash });
        }
    }
    Ok(report)
}

fn fault_of(row: &AuditRow, before: Head) -> Option<Fault> {
    let fault = |seq, kind| Some(Fault { chain: row.chain, seq, kind });
    if row.seq > before.seq + 1 {
        fault(before.seq + 1, FaultKind::Missing)
    } else if row.seq <= before.seq || row.prev_hash != before.hash {
        fault(row.seq, FaultKind::Misplaced)
    } else if row.hash != hash_of(&row.prev_hash, row.seq, row.payload.as_bytes())
        || at_of(&row.payload) != Some(row.at)
    {
        fault(row.seq, FaultKind::Edited)
    } else {
        None
    }
}

/// The column `at` is for searching; what counts is in the hashed payload.
fn at_of(payload: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct At {
        at: Timestamp,
    }
    serde_json::from_str::<At>(payload).ok().map(|payload| payload.at)
}
