//! The built-in sample MCP server: what a newcomer's first profile serves.
//!
//! It speaks MCP on standard input and output, in both eras of the protocol
//! (`initialize` up to revision 2025-11-25, `server/discover` from 2026-07-28),
//! and needs nothing but this binary.

mod message;
mod prompts;
mod resources;
mod session;
mod slow_count;
mod tools;

use std::sync::Arc;

use tokio::io::{self, AsyncRead, AsyncWrite};
use trunkline_model::{Clock, SystemClock};

use crate::json_lines::{JsonLines, Line, outbox};
use session::Session;

/// The longest request the sample server takes, in bytes.
const LONGEST_REQUEST: usize = 1024 * 1024;

/// Serves standard input and output until the client closes them.
///
/// # Errors
/// As [`serve`].
pub(crate) async fn run() -> io::Result<()> {
    serve(io::stdin(), io::stdout(), Arc::new(SystemClock)).await
}

/// Serves one client until `input` ends; what is still being counted then is given up.
///
/// # Errors
/// Reading or writing failed.
async fn serve<R, W>(input: R, output: W, clock: Arc<dyn Clock>) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (sender, writing) = outbox(output);
    let reading = async {
        let mut session = Session::new(sender, clock);
        let mut lines = JsonLines::new(input, LONGEST_REQUEST);
        while let Some(line) = lines.next().await? {
            match line {
                Line::Message(bytes) => session.receive(&bytes).await,
                Line::TooLong => session.refuse_long_line().await,
            }
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(|((), ())| ())
}

#[cfg(test)]
mod tests;
