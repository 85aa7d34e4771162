//! A raw MCP client of a child's standard input and output.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::http::LIMIT;
use crate::message::{self, Answer, Envelope, LEGACY};

/// A child that speaks one era, and our side of the conversation. The child is
/// killed when this is dropped.
#[derive(Debug)]
pub struct StdioClient {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    next_id: u64,
    modern: bool,
}

impl StdioClient {
    /// Starts `line[0]` with the rest as its arguments, `env` as its whole
    /// environment, and speaks `initialize` to it.
    pub async fn legacy(line: &[String], env: &BTreeMap<String, String>) -> Result<Self> {
        let mut client = Self::start(line, env, false)?;
        client.request("initialize", &message::initialize_params(LEGACY, "{}")).await?.result()?;
        client.write(message::notification("notifications/initialized", "{}")).await?;
        Ok(client)
    }

    /// The same for a child that shall speak 2026-07-28.
    pub async fn modern(line: &[String], env: &BTreeMap<String, String>) -> Result<Self> {
        let mut client = Self::start(line, env, true)?;
        client.request("server/discover", "{}").await?.result()?;
        Ok(client)
    }

    fn start(line: &[String], env: &BTreeMap<String, String>, modern: bool) -> Result<Self> {
        let (program, arguments) = line.split_first().context("an empty command line")?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(env);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { _child: child, input, output, next_id: 0, modern })
    }

    async fn write(&mut self, mut message: String) -> Result<()> {
        message.push('\n');
        self.input.write_all(message.as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    /// Sends a request and reads its answer. `params` is a JSON object.
    pub async fn request(&mut self, method: &str, params: &str) -> Result<Answer> {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let params = if self.modern { message::with_modern_meta(params, "{}")? } else { params.to_owned() };
        self.write(message::request(&id, method, &params)).await?;
        timeout(LIMIT, self.read_answer(&id)).await.with_context(|| format!("{method}: no answer"))?
    }

    async fn read_answer(&mut self, id: &str) -> Result<Answer> {
        let mut before = Vec::new();
        while let Some(line) = self.output.next_line().await? {
            let envelope = Envelope::parse(&line)?;
            if envelope.answers(id) {
                return Ok(Answer { result: envelope.result, error: envelope.error, before });
            }
            before.push(envelope);
        }
        bail!("the child closed its output")
    }
}
