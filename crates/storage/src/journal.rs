//! Audit rows on their way to the database: files beside it that one process
//! appends to.
//!
//! A row is durable against a killed process as soon as [`Journal::append`]
//! returns: one write into the system's page cache, without a round trip to
//! the database and without waking anybody. A [`JournalReader`] moves the rows
//! into the database behind it, many in one transaction. What a killed process
//! left, [`recover`] brings in.
//!
//! A journal is a row of segments, `<chain>-<number>.journal`, each locked by
//! its process for as long as that lives. A segment goes once all of it is in
//! the database.

mod line;
mod lines;
mod reader;
mod recovery;
mod segment;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trunkline_model::Timestamp;
use uuid::Uuid;

use crate::{StoreError, key_file};
pub use reader::{JournalBatch, JournalReader};
pub use recovery::{Recovered, recover};
use segment::Segment;

/// Bytes after which a segment is full.
const SEGMENT: u64 = 4 << 20;
/// Bytes that may wait for the database; beyond them nothing is appended, so
/// that a database that stays away fills no disk.
const MOST_WAITING: u64 = 256 << 20;

/// The writing end.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    /// The segment appended to; none before the first row and after a fault.
    active: Option<Arc<Segment>>,
}

/// Where one row stands in its chain.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// From 1, without gaps.
    pub seq: i64,
    pub at: Timestamp,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    chain: Uuid,
    /// The oldest first; the last may be the one appended to.
    segments: Mutex<VecDeque<Arc<Segment>>>,
    /// How many segments there have been.
    count: AtomicU64,
    /// Bytes that are not in the database yet.
    waiting: AtomicU64,
}

impl Journal {
    /// A new journal for `chain` in `directory`, which is made for its owner
    /// alone when it is not there. The first row makes the first file.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn create(directory: &Path, chain: Uuid) -> Result<(Self, JournalReader), StoreError> {
        key_file::create_directory(directory)
            .map_err(|source| StoreError::Journal { path: directory.to_owned(), source })?;
        let shared = Arc::new(Shared {
            directory: directory.to_owned(),
            chain,
            segments: Mutex::default(),
            count: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        });
        Ok((Self { shared: Arc::clone(&shared), active: None }, JournalReader::new(shared)))
    }

    /// Appends one row. `payload` is the event as one line of JSON, as it was
    /// hashed; what the file wants beside it is put behind it.
    ///
    /// # Errors
    /// The row is not there: the disk is full or failing, or too much waits
    /// for the database. The next row may be appended in its place.
    pub fn append(&mut self, payload: &mut Vec<u8>, place: Place) -> io::Result<()> {
        if self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            let reason = format!("the database has been away too long: {MOST_WAITING} bytes wait for it");
            return Err(io::Error::other(reason));
        }
        line::finish(payload, &place);
        let segment = match &self.active {
            Some(segment) if segment.len() < SEGMENT => Arc::clone(segment),
            _ => self.shared.next_segment(&place.prev_hash)?,
        };
        let appended = segment.append(payload);
        // After a fault nobody knows what stands at the end of the file.
        self.active = appended.is_ok().then_some(segment);
        self.shared.waiting.fetch_add(appended? as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Shared {
    fn next_segment(&self, prev_hash: &[u8; 32]) -> io::Result<Arc<Segment>> {
        let create = || {
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            let path = self.directory.join(segment::file_name(self.chain, number));
            Segment::create(path, self.chain, prev_hash)
        };
        // Who recovers may take the new file for an abandoned one before it is locked.
        let created = match create() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => create(),
            created => created,
        };
        let segment = Arc::new(created?);
        self.segments().push_back(Arc::clone(&segment));
        Ok(segment)
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
