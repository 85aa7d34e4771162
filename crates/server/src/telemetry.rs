//! Log lines: on standard error, so that standard output carries results only.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;

use crate::env;

/// Starts logging for the life of the process, at `default` where
/// `TRUNKLINE_LOG` says nothing else.
pub fn start(default: &str) -> anyhow::Result<()> {
    let filter = env::LOG.get().unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("{} is not a log filter: {filter:?}", env::LOG.name))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match env::LOG_FORMAT.get().as_deref() {
        None | Some("" | "human") => lines.try_init(),
        Some("json") => lines.json().flatten_event(true).try_init(),
        Some(other) => bail!("{} must be `human` or `json`, not {other:?}", env::LOG_FORMAT.name),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
