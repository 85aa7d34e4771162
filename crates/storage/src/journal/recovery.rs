//! Bringing in what killed processes left.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::lines::Lines;
use super::segment;
use crate::{AuditRow, Store, StoreError};

/// What [`recover`] found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Events that were not in the database yet.
    pub events: u64,
    /// Files whose end could not be read. What stood before it is in the
    /// database; the file was set aside as `*.damaged`.
    pub damaged: u64,
}

/// Moves into the database what processes that live no more left in
/// `directory`. Files of living processes stay as they are.
///
/// # Errors
/// [`StoreError`]; what was not brought in stays where it is.
pub async fn recover(store: &Store, directory: &Path) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    for path in segment::all_in(directory).map_err(on(directory))? {
        let Some(lock) = lock(&path).map_err(on(&path))? else { continue };
        bring_in(store, &path, &mut recovered).await?;
        drop(lock);
    }
    Ok(recovered)
}

/// Locks an abandoned file; none when its process lives, or another one
/// recovers it at this moment.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn bring_in(store: &Store, path: &Path, recovered: &mut Recovered) -> Result<(), StoreError> {
    let is_whole = match Lines::open(path) {
        Ok(mut lines) => read_all(store, &mut lines, recovered).await?,
        // Its process was killed before the heading was whole: no row follows.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            std::fs::metadata(path).is_ok_and(|file| file.len() < 256)
        }
        Err(error) => return Err(on(path)(error)),
    };
    if is_whole {
        return std::fs::remove_file(path).map_err(on(path));
    }
    recovered.damaged += 1;
    std::fs::rename(path, path.with_extension("damaged")).map_err(on(path))
}

/// Whether everything could be read.
async fn read_all(store: &Store, lines: &mut Lines, recovered: &mut Recovered) -> Result<bool, StoreError> {
    let stored = store.audit().head(lines.chain()).await?.map_or(0, |(seq, _)| seq);
    loop {
        let batch = match lines.read(u64::MAX) {
            Ok(Some(batch)) => batch,
            // A line without an end is of an event whose answer never left.
            Ok(None) => return Ok(true),
            Err(error) => {
                tracing::error!(%error, "what follows in a file of the audit journal cannot be read");
                return Ok(false);
            }
        };
        let missing: Vec<AuditRow> = batch.rows.iter().filter(|row| row.seq > stored).cloned().collect();
        store.audit().append(&missing).await?;
        recovered.events += missing.len() as u64;
        if let Some(last) = batch.rows.last() {
            lines.advance(batch.end, last.hash);
        }
    }
}

fn on(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Journal { path, source }
}
