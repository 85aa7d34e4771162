//! What Linux says about a process: its children, descriptors and memory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn folder(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}"))
}

/// The ids of the direct children of `process`.
pub fn children(process: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(folder(process).join("task")).context("the process is gone")? {
        let Ok(list) = fs::read_to_string(task?.path().join("children")) else { continue };
        found.extend(list.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(found)
}

/// The ids of the children in whose environment `variable` has this value.
pub fn children_with(process: u32, variable: &str, value: &str) -> Result<Vec<u32>> {
    let wanted = format!("{variable}={value}");
    let has = |child: &u32| {
        let environment = fs::read(folder(*child).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    Ok(children(process)?.into_iter().filter(has).collect())
}

/// Whether the process runs; one that has ended and waits to be reaped does
/// not.
pub fn exists(process: u32) -> bool {
    fs::read(folder(process).join("cmdline")).is_ok_and(|line| !line.is_empty())
}

/// How many descriptors the process has open.
pub fn descriptors(process: u32) -> Result<usize> {
    Ok(fs::read_dir(folder(process).join("fd")).context("the process is gone")?.count())
}

/// Memory that is in use by the process alone or shared, in KiB (`VmRSS`).
pub fn resident_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(folder(process).join("status")).context("the process is gone")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().strip_suffix("kB"))
        .and_then(|value| value.trim().parse().ok())
        .context("no VmRSS line")
}
