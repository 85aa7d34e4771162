//! Child processes with bounded waits, whose output a failing test can show.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Lines of output kept for each process.
const KEPT_LINES: usize = 4_000;

/// A running child. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

/// What a child has written, both streams in the order of arrival.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<VecDeque<String>>,
    changed: Notify,
}

impl Output {
    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.changed.notify_waiters();
    }

    fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| wanted(line)).cloned()
    }

    async fn line(&self, limit: Duration, wanted: &impl Fn(&str) -> bool) -> Result<String> {
        let search = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(line) = self.find(wanted) {
                    return line;
                }
                changed.await;
            }
        };
        let found = timeout(limit, search).await;
        found.with_context(|| format!("no such line in {limit:?}; output:\n{}", self.text()))
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

impl Process {
    /// Starts `command` with its output collected.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(collect(stdout, Arc::clone(&output)));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(collect(stderr, Arc::clone(&output)));
        }
        Ok(Self { child, output })
    }

    /// The id, while the process runs.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// All that was written so far, as far as it is kept.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// The first line that `wanted` accepts, waiting for it at most `limit`.
    pub async fn written(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.output.line(limit, &wanted).await
    }

    /// The same, giving up at once when the process ends.
    pub async fn line(&mut self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let output = Arc::clone(&self.output);
        tokio::select! {
            found = output.line(limit, &wanted) => found,
            ended = self.child.wait() => {
                // The readers may still be behind: what was written before the end counts.
                tokio::task::yield_now().await;
                match self.output.find(&wanted) {
                    Some(line) => Ok(line),
                    None => bail!("ended with {:?} first; output:\n{}", ended?, self.output.text()),
                }
            }
        }
    }

    /// Asks the process to end with SIGTERM and waits at most `limit`.
    pub async fn terminate(mut self, limit: Duration) -> Result<(ExitStatus, String)> {
        signal(self.id()?, "TERM").await?;
        let status = timeout(limit, self.child.wait())
            .await
            .with_context(|| format!("still running {limit:?} after SIGTERM:\n{}", self.output.text()))??;
        Ok((status, self.output.text()))
    }

    /// Kills the process and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("killing the process")
    }
}

async fn collect(stream: impl AsyncRead + Unpin, output: Arc<Output>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        output.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// Sends a signal, named as `kill` names it, to one process.
pub async fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().await?;
    if !status.success() {
        bail!("kill -{name} {process}: {status}");
    }
    Ok(())
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// The standard output of a command that succeeded.
    pub fn success(self) -> Result<String> {
        if !self.status.success() {
            bail!("{}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// Runs a command to its end, at most `limit` long; it is killed then.
pub async fn run(mut command: Command, limit: Duration) -> Result<Finished> {
    command.stdin(Stdio::null());
    finish(command, limit).await
}

/// The same for a program that takes the end of its input as an order to stop:
/// its input stays open and empty.
pub async fn run_with_open_input(mut command: Command, limit: Duration) -> Result<Finished> {
    command.stdin(Stdio::piped());
    finish(command, limit).await
}

async fn finish(mut command: Command, limit: Duration) -> Result<Finished> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let described = command.as_std().get_program().display().to_string();
    let mut child = command.spawn().with_context(|| format!("starting {described}"))?;
    let input = child.stdin.take();
    let output = timeout(limit, child.wait_with_output())
        .await
        .with_context(|| format!("{described} did not end in {limit:?}"))?
        .with_context(|| format!("running {described}"))?;
    drop(input);
    Ok(Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
