//! One file of a journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::line;

const EXTENSION: &str = "journal";

/// A file that this process writes, and how much of it counts.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    /// Holds the lock that says this process lives.
    file: File,
    /// Bytes of whole lines.
    len: AtomicU64,
}

impl Segment {
    pub(super) fn create(path: PathBuf, chain: Uuid, prev_hash: &[u8; 32]) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let segment = Self { file: options.open(&path)?, path, len: AtomicU64::new(0) };
        let begun = segment.file.try_lock().map_err(io::Error::from);
        let begun = begun.and_then(|()| segment.append(line::heading(chain, prev_hash).as_bytes()));
        if begun.is_err() {
            // Nothing is in it: the next one starts anew.
            let _ = std::fs::remove_file(&segment.path);
        }
        begun.map(|_| segment)
    }

    /// Appends whole lines, or nothing; gives back how many bytes.
    pub(super) fn append(&self, lines: &[u8]) -> io::Result<usize> {
        let before = self.len();
        if let Err(error) = (&self.file).write_all(lines) {
            // A piece of a line is no line for whoever reads the file later,
            // also if it cannot be taken back.
            let _ = self.file.set_len(before);
            return Err(error);
        }
        self.len.store(before + lines.len() as u64, Ordering::Release);
        Ok(lines.len())
    }

    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

pub(super) fn file_name(chain: Uuid, number: u64) -> String {
    // A fixed width: names sort as they were made.
    format!("{chain}-{number:08}.{EXTENSION}")
}

/// The segments in `directory`, each chain's in their order.
pub(super) fn all_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}
