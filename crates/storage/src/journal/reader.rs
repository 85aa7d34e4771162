//! The reading end: rows in the order in which they were appended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::lines::Lines;
use super::segment::Segment;
use crate::AuditRow;

/// Reads what a [`Journal`](super::Journal) of this process has, and forgets
/// what is said to be in the database.
#[derive(Debug)]
pub struct JournalReader {
    shared: Arc<Shared>,
    /// The oldest segment, once it is read.
    open: Option<(Arc<Segment>, Lines)>,
}

/// Rows of one segment.
#[derive(Debug)]
pub struct JournalBatch {
    pub rows: Vec<AuditRow>,
    /// Where they end in their file.
    pub(super) end: u64,
}

impl JournalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None }
    }

    /// The next rows, and the same ones again until [`forget`](Self::forget);
    /// none when all are in the database.
    ///
    /// # Errors
    /// A file cannot be read, or is not what was written.
    pub fn peek(&mut self) -> io::Result<Option<JournalBatch>> {
        loop {
            let Some(segment) = self.shared.segments().front().cloned() else { return Ok(None) };
            let lines = match &mut self.open {
                Some((open, lines)) if Arc::ptr_eq(open, &segment) => lines,
                open => &mut open.insert((Arc::clone(&segment), Lines::open(segment.path())?)).1,
            };
            if let Some(batch) = lines.read(segment.len())? {
                return Ok(Some(batch));
            }
            let mut segments = self.shared.segments();
            // The last one may be appended to; it is full when there is another.
            if segments.len() < 2 {
                return Ok(None);
            }
            segments.pop_front();
            remove(&segment);
        }
    }

    /// Says that the rows of `batch` are in the database.
    pub fn forget(&mut self, batch: &JournalBatch) {
        if let (Some((_, lines)), Some(last)) = (&mut self.open, batch.rows.last()) {
            let bytes = lines.advance(batch.end, last.hash);
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Removes the files of a journal that is appended to no more, and all of
    /// which is in the database.
    pub fn remove(self) {
        self.shared.segments().drain(..).for_each(|segment| remove(&segment));
    }
}

/// A file that stays is read again by who recovers, and every row found to be
/// in the database.
fn remove(segment: &Segment) {
    if let Err(error) = std::fs::remove_file(segment.path()) {
        tracing::warn!(%error, path = %segment.path().display(), "a file of the audit journal cannot be removed");
    }
}
