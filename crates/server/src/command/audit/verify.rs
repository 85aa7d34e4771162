//! `trunkline audit verify`.

use serde::Serialize;
use trunkline_profiles::{FaultKind, VerifyReport, verify};

use super::HubArgs;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Verified<'a> {
    intact: bool,
    #[serde(flatten)]
    report: &'a VerifyReport,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.whole_trail(&config).await?;
    let report = verify(&store).await?;
    store.close().await;
    output.result(words(&report), &Verified { intact: report.is_intact(), report: &report });
    Ok(if report.is_intact() { Outcome::Done } else { Outcome::Negative })
}

fn words(report: &VerifyReport) -> String {
    let read = format!("{} events in {} chains", report.events, report.chains);
    if report.is_intact() {
        return format!("intact: {read}");
    }
    let mut words = format!("NOT intact: {read}");
    for fault in &report.faults {
        let what = match fault.kind {
            FaultKind::Missing => "is missing",
            FaultKind::Misplaced => "does not follow the event before it",
            FaultKind::Edited => "is not what was written",
        };
        words = format!("{words}\nchain {}: event {} {what}", fault.chain, fault.seq);
    }
    words
}
