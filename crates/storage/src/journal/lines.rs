//! The rows in one file of a journal.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use uuid::Uuid;

use super::line;
use super::reader::JournalBatch;

/// Bytes read at once, unless a line is longer.
const CHUNK: u64 = 256 << 10;

/// A place in a file, and what the next row is attached to.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    offset: u64,
    chain: Uuid,
    prev_hash: [u8; 32],
}

impl Lines {
    /// Reads the heading.
    ///
    /// # Errors
    /// There is no such file, or it has no heading (`InvalidData`).
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let bytes = read_at(&mut file, 0, 1024)?;
        let heading = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Some((chain, prev_hash)) = line::read_heading(heading).filter(|_| heading.len() < bytes.len())
        else {
            return Err(damaged(path, 0));
        };
        let offset = heading.len() as u64 + 1;
        Ok(Self { file, offset, chain, prev_hash })
    }

    pub(super) fn chain(&self) -> Uuid {
        self.chain
    }

    /// The rows that follow in the first `len` bytes of the file, as many as
    /// are read at once; none when there is no whole line.
    ///
    /// # Errors
    /// The file cannot be read, or a line is none (`InvalidData`).
    pub(super) fn read(&mut self, len: u64) -> io::Result<Option<JournalBatch>> {
        let left = len.saturating_sub(self.offset);
        let mut most = CHUNK.min(left);
        loop {
            let bytes = read_at(&mut self.file, self.offset, most)?;
            match memchr::memrchr(b'\n', &bytes) {
                Some(last) => return self.rows_of(&bytes[..last]).map(Some),
                None if most == left || (bytes.len() as u64) < most => return Ok(None),
                None => most = most.saturating_mul(2).min(left),
            }
        }
    }

    fn rows_of(&self, lines: &[u8]) -> io::Result<JournalBatch> {
        let (mut rows, mut prev_hash) = (Vec::new(), self.prev_hash);
        let mut end = self.offset;
        let mut rest = lines;
        loop {
            let (text, more) = match memchr::memchr(b'\n', rest) {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            let Some(row) = line::read(self.chain, prev_hash, text) else {
                if rows.is_empty() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the audit journal of chain {} is damaged at byte {end}", self.chain),
                    ));
                }
                // What stands before it counts.
                break;
            };
            prev_hash = row.hash;
            end += text.len() as u64 + 1;
            rows.push(row);
            match more {
                Some(more) => rest = more,
                None => break,
            }
        }
        Ok(JournalBatch { rows, end })
    }

    /// Goes on behind `end`; gives back how many bytes were left behind.
    pub(super) fn advance(&mut self, end: u64, hash: [u8; 32]) -> u64 {
        let bytes = end - self.offset;
        self.offset = end;
        self.prev_hash = hash;
        bytes
    }
}

fn read_at(file: &mut File, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn damaged(path: &Path, byte: u64) -> io::Error {
    let reason = format!("the audit journal {} is damaged at byte {byte}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
