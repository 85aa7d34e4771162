//! A list of failing checks, in the form that the suite takes as
//! `--expected-failures`: `scenario:check`, or a whole scenario. It is exact: a
//! check that is missing in it, and an entry that no longer fails, fail the test.
//!
//! The suite itself holds only failures of scored scenarios against the list,
//! and excuses what is skipped. The first line is a comment with the numbers of
//! checks, so that one that is silently no longer made is noticed. Each entry
//! stands below a comment that begins with one of [`REASONS`].

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::results::Results;

const REASONS: [&str; 3] = ["# not yet: ", "# cannot exist in this cell: ", "# not made by the suite: "];

#[derive(Debug)]
pub(super) struct Baseline {
    numbers: String,
    failing: BTreeSet<String>,
}

impl Baseline {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let numbers = text.lines().next().context("no first line")?.to_owned();
        let mut failing = BTreeSet::new();
        let mut reason = false;
        for line in text.lines().map(str::trim) {
            reason |= REASONS.iter().any(|begin| line.starts_with(begin));
            let Some(entry) = line.strip_prefix("- ") else { continue };
            ensure!(reason, "{entry} has no reason above it: {REASONS:?}");
            ensure!(failing.insert(entry.to_owned()), "{entry} stands twice");
        }
        Ok(Self { numbers, failing })
    }

    fn has(&self, check: &str) -> bool {
        self.failing.iter().any(|entry| covers(entry, check))
    }

    /// # Errors
    /// Says what to change in the file, when it is not what `results` has.
    pub(super) fn expect(&self, results: &Results) -> Result<()> {
        let fails = |entry: &str| results.failing.keys().any(|check| covers(entry, check));
        let mut changes = Vec::new();
        for (check, said) in results.failing.iter().filter(|(check, _)| !self.has(check)) {
            changes.push(format!("fails:       {check}: {}", said.join("; ")));
        }
        for entry in self.failing.iter().filter(|entry| !fails(entry)) {
            changes.push(format!("take it out: {entry}"));
        }
        let numbers = format!("# {}.", results.counts);
        if numbers != self.numbers {
            changes.push(format!("first line:  {numbers}"));
        }
        if !changes.is_empty() {
            bail!("the baseline differs from the results:\n{}", changes.join("\n"));
        }
        Ok(())
    }
}

/// Whether `entry` is this check, or its scenario.
fn covers(entry: &str, check: &str) -> bool {
    check.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[test]
fn an_entry_needs_a_reason() {
    let error = Baseline::parse("# numbers\nserver:\n  # because\n  - ping:ping\n").unwrap_err();
    assert!(error.to_string().contains("ping:ping has no reason"), "{error}");
}

#[test]
fn a_baseline_says_what_differs() -> Result<()> {
    let text = "# 0 checks pass, 3 fail, 0 warn, 0 are skipped.\n\
        server:\n  # not yet: no\n  - ping:ping\n  - caching:a\n  - tasks\n  - skills\n";
    let mut results = Results::default();
    results.counts.failed = 3;
    for check in ["ping:ping", "tasks:a", "tools-list:b"] {
        results.failing.insert(check.to_owned(), vec!["no answer".to_owned()]);
    }
    let error = Baseline::parse(text)?.expect(&results).unwrap_err().to_string();
    let changes: Vec<&str> = error.lines().skip(1).collect();
    let expected = ["fails:       tools-list:b: no answer", "take it out: caching:a", "take it out: skills"];
    assert_eq!(changes, expected);
    Ok(())
}
