//! The tasks that serve the pipes of a child.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use super::dispatch::dispatch;
use super::lines::{Line, Lines};
use super::link::{Link, QUEUED_MESSAGES, Queued};

/// The longest line of standard error that is kept whole, in bytes.
const LONGEST_ERROR_LINE: usize = 4096;
/// How much of the start of a message that is too large is looked at, in bytes.
const MESSAGE_HEAD: usize = 256;
/// The buffer for writes keeps no more than this, in bytes.
const WRITE_BUFFER: usize = 64 << 10;

/// Writes queued messages, one per line, several at once when they wait.
pub(super) async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Queued>, link: Arc<Link>) {
    let mut waiting = Vec::with_capacity(QUEUED_MESSAGES);
    let mut buffer = Vec::new();
    while queue.recv_many(&mut waiting, QUEUED_MESSAGES).await > 0 {
        for queued in waiting.drain(..).filter(|queued| link.may_leave(queued)) {
            append_line(&mut buffer, &queued.body);
        }
        if stdin.write_all(&buffer).await.is_err() {
            break;
        }
        buffer.clear();
        buffer.shrink_to(WRITE_BUFFER);
    }
    link.broken.notify_one();
}

/// Line breaks in JSON stand only between its tokens, where a space does as
/// well; on this transport they end a message.
fn append_line(buffer: &mut Vec<u8>, body: &Bytes) {
    let start = buffer.len();
    buffer.reserve(body.len() + 1);
    buffer.extend_from_slice(body);
    for byte in &mut buffer[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    buffer.push(b'\n');
}

/// Reads messages until the child closes its standard output.
pub(super) async fn read_messages(stdout: ChildStdout, link: Arc<Link>) {
    let mut lines = Lines::new(stdout, link.message_limit, MESSAGE_HEAD);
    while let Ok(Some(line)) = lines.next().await {
        dispatch(&link, line);
    }
    link.broken.notify_one();
}

/// Keeps the last lines of what the child says of itself.
pub(super) async fn read_errors(stderr: ChildStderr, link: Arc<Link>) {
    let mut lines = Lines::new(stderr, LONGEST_ERROR_LINE, LONGEST_ERROR_LINE + 1);
    while let Ok(Some(line)) = lines.next().await {
        match line {
            Line::Whole(text) | Line::TooLong(text) => link.stderr_line(&text),
            Line::EndOfTooLong(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_however_it_was_written() {
        let mut buffer = b"first\n".to_vec();
        append_line(&mut buffer, &Bytes::from_static(b"{\r\n \"a\": \"b\\n\"\n}"));
        assert_eq!(buffer, b"first\n{   \"a\": \"b\\n\" }\n");
    }
}
