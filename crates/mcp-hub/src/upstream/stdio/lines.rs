//! Lines of a child's output, each bounded in length.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once, in bytes.
const CHUNK: usize = 8 << 10;
/// How much of the end of a line that is too long is kept, in bytes.
const TAIL: usize = 64;

/// What one read found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One line without its line break.
    Whole(Bytes),
    /// The first bytes of a line that is longer than the limit; the rest of it
    /// is skipped as it arrives.
    TooLong(Bytes),
    /// The last bytes of the line that was too long.
    EndOfTooLong(Bytes),
}

/// A reader of lines that holds at most the limit and one chunk in memory.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line break.
    scanned: usize,
    skipping: bool,
    limit: usize,
    /// How much of the start of a line that is too long is handed out.
    head: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// `limit` is the longest line; `head` is how much of a longer one is
    /// handed out. Both in bytes.
    pub(super) fn new(reader: R, limit: usize, head: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), scanned: 0, skipping: false, limit, head }
    }

    /// The next line; none at the end of the output. May be dropped and
    /// called again: nothing read is lost.
    ///
    /// # Errors
    /// What reading from the pipe gave.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            self.buffer.reserve(CHUNK);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(self.last());
            }
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        if let Some(offset) = memchr::memchr(b'\n', unseen) {
            let end = self.scanned + offset;
            let line = self.buffer.split_to(end + 1).freeze();
            self.scanned = 0;
            return Some(self.complete(line.slice(..end)));
        }
        self.scanned = self.buffer.len();
        if self.skipping {
            self.keep_tail();
            return None;
        }
        if self.buffer.len() <= self.limit {
            return None;
        }
        Some(self.start_skipping())
    }

    fn complete(&mut self, mut line: Bytes) -> Line {
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if self.skipping {
            self.skipping = false;
            return Line::EndOfTooLong(line.slice(line.len().saturating_sub(TAIL)..));
        }
        if line.len() > self.limit {
            return Line::TooLong(line.slice(..self.head.min(line.len())));
        }
        Line::Whole(line)
    }

    fn start_skipping(&mut self) -> Line {
        self.skipping = true;
        let head = Bytes::copy_from_slice(&self.buffer[..self.head.min(self.buffer.len())]);
        self.keep_tail();
        // A new, small allocation: the old one is as large as the limit.
        self.buffer = BytesMut::from(&self.buffer[..]);
        Line::TooLong(head)
    }

    fn keep_tail(&mut self) {
        self.buffer.advance(self.buffer.len().saturating_sub(TAIL));
        self.scanned = self.buffer.len();
    }

    fn last(&mut self) -> Option<Line> {
        let rest = self.buffer.split().freeze();
        self.scanned = 0;
        if rest.is_empty() { None } else { Some(self.complete(rest)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut lines: Lines<impl AsyncRead + Unpin>) -> Vec<Line> {
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn lines_arrive_whole_wherever_the_output_is_split() {
        let output = b"one\r\ntwo\n\nlast";
        for split in 0..=output.len() {
            let (first, second) = output.split_at(split);
            let reader = tokio_test_reader(vec![first, second]);
            let found = read_all(Lines::new(reader, 100, 10)).await;
            assert_eq!(found, [whole("one"), whole("two"), whole(""), whole("last")], "split at {split}");
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_skipped_in_little_memory() {
        let mut lines = Lines::new(tokio::io::repeat(b'x').take(50 << 20), 1 << 20, 16);
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong(Bytes::from_static(&[b'x'; 16]))));
        assert_eq!(lines.next().await.unwrap(), Some(Line::EndOfTooLong(Bytes::from_static(&[b'x'; TAIL]))));
        assert_eq!(lines.next().await.unwrap(), None);
        assert!(lines.buffer.capacity() <= 4 * CHUNK, "{}", lines.buffer.capacity());
    }

    #[tokio::test]
    async fn what_follows_a_line_that_is_too_long_is_read() {
        let reader = tokio_test_reader(vec![&[b'y'; 5000], &[b'y'; 9000], b"END\nnext\n"]);
        let found = read_all(Lines::new(reader, 4000, 4)).await;
        assert_eq!(found[0], Line::TooLong(Bytes::from_static(b"yyyy")));
        let Line::EndOfTooLong(tail) = &found[1] else { panic!("{found:?}") };
        assert!(tail.ends_with(b"yEND"));
        assert_eq!(found[2], whole("next"));
    }

    /// A reader that gives one part at a time.
    fn tokio_test_reader(parts: Vec<&[u8]>) -> impl AsyncRead + Unpin {
        let parts: Vec<_> =
            parts.into_iter().map(|part| Ok::<_, io::Error>(Bytes::copy_from_slice(part))).collect();
        tokio_util::io::StreamReader::new(futures_util::stream::iter(parts))
    }
}
