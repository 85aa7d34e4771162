//! What the suite found, from the files it leaves: `server-{scenario}-{time}/checks.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The length of `-2026-11-26T03-01-35-167Z`.
const TIME: usize = 25;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) warned: usize,
    pub(super) skipped: usize,
}

/// The checks of one run.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) counts: Counts,
    /// What the suite says of each check that did not pass, by `scenario:check`.
    /// It skips those of an extension that is not declared, and the reference
    /// server declares it.
    pub(super) failing: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    status: Status,
    #[serde(default)]
    error_message: Option<String>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failure,
    Warning,
    Skipped,
    Info,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, warned, skipped } = self;
        write!(formatter, "{passed} checks pass, {failed} fail, {warned} warn, {skipped} are skipped")
    }
}

impl Results {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut results = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let scenario = name.strip_prefix("server-").context("the folder of a scenario")?;
            let scenario = scenario.get(..scenario.len().saturating_sub(TIME)).context("no time")?;
            let text = std::fs::read_to_string(path.join("checks.json"))?;
            let checks: Vec<Check> = serde_json::from_str(&text).with_context(|| text.clone())?;
            for check in checks {
                results.add(scenario, check);
            }
        }
        Ok(results)
    }

    fn add(&mut self, scenario: &str, check: Check) {
        let number = match check.status {
            Status::Success => &mut self.counts.passed,
            Status::Failure => &mut self.counts.failed,
            Status::Warning => &mut self.counts.warned,
            Status::Skipped => &mut self.counts.skipped,
            Status::Info => return,
        };
        *number += 1;
        if check.status != Status::Success {
            let name = format!("{scenario}:{}", check.id);
            let said = self.failing.entry(name).or_default();
            let message = check.error_message.unwrap_or_default();
            if !said.contains(&message) {
                said.push(message);
            }
        }
    }
}
