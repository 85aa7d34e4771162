//! What the suite found, from the files it leaves: `{prefix}{scenario}-{time}/checks.json`.

use std::collections::{BTreeMap, BTreeSet};
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

/// How checks are counted that the suite made several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    Counted,
    /// Once for each outcome: how often it has occasion for a check is up to the hub.
    Once,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    name: String,
    status: Status,
    #[serde(default)]
    error_message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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
    /// `prefix` stands before the name of each scenario.
    pub(super) fn read(folder: &Path, prefix: &str, repeated: Repeated) -> Result<Self> {
        let mut results = Self::default();
        let mut counted = BTreeSet::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let scenario = name.strip_prefix(prefix).context("the folder of a scenario")?;
            let scenario = scenario.get(..scenario.len().saturating_sub(TIME)).context("no time")?;
            let text = std::fs::read_to_string(path.join("checks.json"))?;
            let checks: Vec<Check> = serde_json::from_str(&text).with_context(|| text.clone())?;
            for check in checks {
                let again = !counted.insert((
                    scenario.to_owned(),
                    check.id.clone(),
                    check.name.clone(),
                    check.status,
                ));
                if repeated == Repeated::Counted || !again {
                    results.add(scenario, check);
                }
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
