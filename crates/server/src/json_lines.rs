//! MCP's stdio framing: one JSON message on each line, with a bound on its length.

use tokio::io::{self, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

/// The longest message taken from a peer, in bytes.
pub(crate) const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// Messages that may wait for a slow reader before their makers wait too.
const OUTBOX: usize = 64;

/// What a peer wrote on one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line that is not blank, without its line ending.
    Message(Vec<u8>),
    /// A line over the bound; it was read to its end and thrown away.
    TooLong,
}

/// Reads lines, holding at most one of them in memory.
#[derive(Debug)]
pub(crate) struct JsonLines<R> {
    reader: BufReader<R>,
    longest: usize,
}

impl<R: AsyncRead + Unpin> JsonLines<R> {
    pub(crate) fn new(reader: R, longest: usize) -> Self {
        Self { reader: BufReader::new(reader), longest }
    }

    /// The next line that is not blank; none at the end of the input. A last
    /// line without a line ending counts.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let available = self.reader.fill_buf().await?;
            let at_end = available.is_empty();
            let newline = available.iter().position(|byte| *byte == b'\n');
            let part = newline.unwrap_or(available.len());
            let consumed = newline.map_or(part, |position| position + 1);
            too_long |= line.len() + part > self.longest;
            if too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(available.get(..part).unwrap_or_default());
            }
            self.reader.consume(consumed);
            if newline.is_none() && !at_end {
                continue;
            }
            if too_long {
                return Ok(Some(Line::TooLong));
            }
            if !line.trim_ascii().is_empty() {
                line.truncate(line.trim_ascii_end().len());
                return Ok(Some(Line::Message(line)));
            }
            line.clear();
            if at_end {
                return Ok(None);
            }
        }
    }
}

/// Where messages for the peer are left; a clone for each maker.
pub(crate) type Outbox = mpsc::Sender<Vec<u8>>;

/// A queue of messages, and the future that writes them until every
/// [`Outbox`] is gone.
pub(crate) fn outbox<W: AsyncWrite + Unpin>(output: W) -> (Outbox, impl Future<Output = io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(OUTBOX);
    (sender, write_lines(output, receiver))
}

async fn write_lines<W: AsyncWrite + Unpin>(
    mut output: W,
    mut messages: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(mut message) = messages.recv().await {
        message.push(b'\n');
        output.write_all(&message).await?;
        output.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], longest: usize) -> Vec<Line> {
        let mut reader = JsonLines::new(input, longest);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    fn message(text: &str) -> Line {
        Line::Message(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn blank_lines_and_carriage_returns_are_no_part_of_a_message() {
        assert_eq!(lines(b"a\r\n\n  \nb", 10).await, [message("a"), message("b")]);
    }

    #[tokio::test]
    async fn a_line_over_the_bound_does_not_spoil_the_next() {
        assert_eq!(lines(b"abcdef\nabc\nabcd", 3).await, [Line::TooLong, message("abc"), Line::TooLong]);
    }
}
