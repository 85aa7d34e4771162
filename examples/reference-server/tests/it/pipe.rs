//! The server over standard input and output, one JSON message a line.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use trunkline_tests::message::{LEGACY, MODERN};

use crate::http_server::{BINARY, LIMIT};

/// A running server. It is killed when dropped.
pub(crate) struct Pipe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Pipe {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(BINARY)
            .arg("--stdio")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, input, output, next_id: 1 })
    }

    /// Started, and initialized by a client that can do what `capabilities` says.
    pub(crate) async fn legacy(arguments: &[&str], capabilities: &Value) -> Result<Self> {
        let mut pipe = Self::start(arguments)?;
        let client = json!({ "name": "pipe", "version": "1" });
        let params = json!({ "protocolVersion": LEGACY, "capabilities": capabilities, "clientInfo": client });
        let answer = pipe.ask("initialize", &params).await?;
        answer.get("result").with_context(|| answer.to_string())?;
        pipe.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(pipe)
    }

    pub(crate) async fn write(&mut self, message: &Value) -> Result<()> {
        self.input.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    pub(crate) async fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        timeout(LIMIT, self.output.read_line(&mut line)).await.context("no line in time")??;
        serde_json::from_str(&line).with_context(|| format!("no message: {line:?}"))
    }

    /// Sends a request, and reads the next message.
    pub(crate) async fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        self.read().await
    }

    /// The same, as a client of 2026-07-28 that can do what `capabilities` says.
    pub(crate) async fn ask_modern(
        &mut self,
        method: &str,
        mut params: Value,
        capabilities: &Value,
    ) -> Result<Value> {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
        self.ask(method, &params).await
    }

    /// Closes the input, and waits for the server to end.
    pub(crate) async fn end(self) -> Result<ExitStatus> {
        let Self { mut child, input, .. } = self;
        drop(input);
        timeout(LIMIT, child.wait()).await.context("it still runs")?.context("it cannot be waited for")
    }

    /// What the server writes until it ends.
    pub(crate) async fn rest(mut self) -> Result<(String, ExitStatus)> {
        let mut rest = String::new();
        timeout(LIMIT, self.output.read_to_string(&mut rest)).await.context("it still writes")??;
        let status = timeout(LIMIT, self.child.wait()).await.context("it still runs")??;
        Ok((rest, status))
    }
}
