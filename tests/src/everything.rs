//! The npm everything server over its two HTTP transports.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::http::free_port;
use crate::packages::{Packages, StdioServer};
use crate::process::Process;

/// A running everything server; it ends when this is dropped.
#[derive(Debug)]
pub struct EverythingServer {
    pub url: String,
    _process: Process,
}

impl EverythingServer {
    /// Over streamable HTTP.
    pub async fn streamable_http(packages: &Packages, home: &Path) -> Result<Self> {
        Self::start(packages, home, "streamableHttp", "mcp").await
    }

    /// Over HTTP+SSE (2024-11-05).
    pub async fn sse(packages: &Packages, home: &Path) -> Result<Self> {
        Self::start(packages, home, "sse", "sse").await
    }

    async fn start(packages: &Packages, home: &Path, transport: &str, path: &str) -> Result<Self> {
        let port = free_port().await?;
        let mut command = packages.command(&packages.node(), home);
        command.arg(packages.npm_file(StdioServer::EVERYTHING)).arg(transport);
        command.env("PORT", port.to_string());
        let mut process = Process::start(command)?;
        let up = |line: &str| line.contains("on port") && line.contains(&port.to_string());
        process.line(Duration::from_secs(30), up).await?;
        Ok(Self { url: format!("http://127.0.0.1:{port}/{path}"), _process: process })
    }
}
