//! The writing end: hashes each event into the chain and appends it to the
//! journal, where it happened. Nothing is waited for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use trunkline_model::{AuditEvent, Clock, Timestamp};
use trunkline_storage::{Journal, Place, Recovered, Store, StoreError, recover};
use uuid::Uuid;

use super::chain::Head;
use super::keeper::Keeper;

/// Room for an ordinary event and what the journal puts behind it, in bytes.
const EVENT: usize = 768;

/// The trail cannot be written: what was to be recorded is not durable, and
/// the answer must not leave. Trying again later is safe for the hub's part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the audit trail cannot be written: {reason}")]
pub struct AuditUnavailable {
    reason: String,
}

/// Where events go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditLog {
    chain: Uuid,
    end: Arc<Mutex<End>>,
    keeper: Keeper,
}

/// The end of the chain.
#[derive(Debug)]
struct End {
    head: Head,
    /// None once the log is closed.
    journal: Option<Journal>,
    /// Whether the last event could not be written, and that was said.
    failing: bool,
}

impl AuditLog {
    /// Brings in what a killed process left in `directory`, then starts this
    /// process's chain and the task that moves it into the database. Must be
    /// called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError`]: the directory or the database cannot be used.
    pub async fn start(store: Arc<Store>, directory: &Path, clock: &dyn Clock) -> Result<Self, StoreError> {
        let Recovered { events, damaged } = recover(&store, directory).await?;
        if events + damaged > 0 {
            tracing::info!(
                events,
                damaged_files = damaged,
                "brought in what a killed process left of its audit trail"
            );
        }
        let chain = id_at(clock.now());
        let (journal, reader) = Journal::create(directory, chain)?;
        let head = Head::start_of(chain);
        let keeper = Keeper::start(store, reader, chain);
        let end = End { head, journal: Some(journal), failing: false };
        Ok(Self { chain, end: Arc::new(Mutex::new(end)), keeper })
    }

    /// The id of this process's chain.
    pub fn chain(&self) -> Uuid {
        self.chain
    }

    /// Appends an event, which is durable against a killed process when this returns.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: it is not.
    pub fn append(&self, event: &AuditEvent) -> Result<(), AuditUnavailable> {
        let mut line = Vec::with_capacity(EVENT);
        serde_json::to_writer(&mut line, event).map_err(|error| AuditUnavailable::because(&error))?;
        let appended = self.end.lock().unwrap_or_else(PoisonError::into_inner).append(event.at, &mut line);
        if appended.is_ok() {
            self.keeper.wake();
        }
        appended
    }

    /// Returns once everything appended before is in the database.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the database does not take it now.
    pub async fn flush(&self) -> Result<(), AuditUnavailable> {
        self.keeper.flush().await
    }

    /// Takes no more events, and returns once those there are in the
    /// database, or kept for the next start when it does not take them.
    pub async fn close(&self) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).journal = None;
        self.keeper.close().await;
    }
}

impl End {
    fn append(&mut self, at: Timestamp, line: &mut Vec<u8>) -> Result<(), AuditUnavailable> {
        let Some(journal) = &mut self.journal else { return Err(AuditUnavailable::closed()) };
        let next = self.head.after(line);
        let place = Place { seq: next.seq, at, prev_hash: self.head.hash, hash: next.hash };
        match journal.append(line, place) {
            Ok(()) => {
                self.head = next;
                self.failing = false;
                Ok(())
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the audit trail cannot be written; no answer leaves until it can");
                }
                Err(AuditUnavailable::because(&error))
            }
        }
    }
}

impl AuditUnavailable {
    pub(super) fn because(error: &dyn std::fmt::Display) -> Self {
        Self { reason: error.to_string() }
    }

    pub(super) fn closed() -> Self {
        Self { reason: "the hub is shutting down".to_owned() }
    }
}

/// A new id of version 7 (RFC 9562 section 5.7) for this moment. Its random
/// part comes from the thread's generator, which asks the system only to
/// reseed itself: an event needs no system call for its id.
pub(crate) fn id_at(now: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &rand::random()).into_uuid()
}
