//! The reference server of `examples/reference-server` over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::hub;
use crate::process::Process;

const START: Duration = Duration::from_secs(20);
const ANNOUNCED: &str = "listening on ";

/// The program's name beside the test binary. A run of the whole workspace
/// builds it; by hand, `cargo build -p trunkline-reference-server` does.
pub const PROGRAM: &str = "reference-server";

/// A running reference server; it ends when this is dropped.
#[derive(Debug)]
pub struct ReferenceServer {
    pub url: String,
    process: Process,
}

impl ReferenceServer {
    /// Starts it on a free port of loopback with these options besides.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(hub::built(PROGRAM)?);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = Process::start(command)?;
        let line = process.line(START, |line| line.starts_with(ANNOUNCED)).await?;
        let url = line.strip_prefix(ANNOUNCED).context("the line has just been seen")?.to_owned();
        Ok(Self { url, process })
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
