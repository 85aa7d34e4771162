//! The server over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;
use trunkline_tests::http::Endpoint;
use trunkline_tests::process::Process;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_reference-server");

/// No server takes longer to begin, or to end.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A running server. It is killed when dropped.
pub(crate) struct HttpServer {
    _process: Process,
    pub(crate) url: String,
}

impl HttpServer {
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(BINARY);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut process = Process::start(command)?;
        let line = process.line(LIMIT, |line| line.starts_with("listening on ")).await?;
        let url = line.strip_prefix("listening on ").context("no URL")?.to_owned();
        Ok(Self { _process: process, url })
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.url)
    }
}
