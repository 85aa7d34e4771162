//! A program that is spoken with: its lines are read, and lines are typed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// The slowest program takes a few seconds; the limit is for a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Dialogue {
    child: Child,
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    seen: String,
}

impl Dialogue {
    /// Starts `command`.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let (sender, lines) = mpsc::unbounded_channel();
        let input = child.stdin.take().context("no input")?;
        tokio::spawn(read(child.stdout.take().context("no output")?, sender.clone()));
        tokio::spawn(read(child.stderr.take().context("no errors")?, sender));
        Ok(Self { child, input, lines, seen: String::new() })
    }

    /// What `wanted` finds in the first line in which it finds something.
    pub async fn find<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let look = async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push_str(&line);
                self.seen.push('\n');
                if let Some(found) = wanted(&line) {
                    return Some(found);
                }
            }
            None
        };
        match tokio::time::timeout(LIMIT, look).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!("the program ended:\n{}", self.seen),
            Err(_) => bail!("the program did not go on:\n{}", self.seen),
        }
    }

    /// Types a text as it is.
    pub async fn type_text(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    /// Waits for the end; whether it was a success, and all that was written.
    pub async fn end(mut self) -> Result<(bool, String)> {
        drop(self.input);
        let rest = async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push_str(&line);
                self.seen.push('\n');
            }
            self.child.wait().await
        };
        let status = tokio::time::timeout(LIMIT, rest).await.context("the program does not end")??;
        Ok((status.success(), self.seen))
    }
}

async fn read(stream: impl AsyncRead + Unpin, sender: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        // Nobody listens any more: the program is read to its end all the same.
        let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
    }
}
