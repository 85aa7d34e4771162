//! Moves events from the journal into the database, many in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use trunkline_storage::{JournalBatch, JournalReader, Store, StoreError};
use uuid::Uuid;

use super::AuditUnavailable;

/// How long events gather before they are moved.
const GATHER: Duration = Duration::from_millis(100);
/// How often a database that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Flushes that may be asked for at once; more wait to ask.
const FLUSHES: usize = 16;

type Flushed = oneshot::Sender<Result<(), AuditUnavailable>>;

/// The handle of the task. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    signal: Arc<Signal>,
    flushes: mpsc::Sender<Flushed>,
    closing: Arc<watch::Sender<bool>>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Signal {
    /// Whether the task knows that there is something to move.
    given: AtomicBool,
    notify: Notify,
}

struct Task {
    store: Arc<Store>,
    reader: JournalReader,
    chain: Uuid,
    signal: Arc<Signal>,
    /// Whether a write failed: it may have taken effect all the same.
    in_doubt: bool,
}

impl Keeper {
    pub(super) fn start(store: Arc<Store>, reader: JournalReader, chain: Uuid) -> Self {
        let (flushes, asked) = mpsc::channel(FLUSHES);
        let (closing, close) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let signal = Arc::new(Signal::default());
        let task = Task { store, reader, chain, signal: Arc::clone(&signal), in_doubt: false };
        tokio::spawn(async move {
            task.run(asked, close).await;
            end.send_replace(true);
        });
        Self { signal, flushes, closing: Arc::new(closing), ended }
    }

    /// Says that there is something to move. Most calls find that it was said.
    pub(super) fn wake(&self) {
        if !self.signal.given.swap(true, Ordering::AcqRel) {
            self.signal.notify.notify_one();
        }
    }

    pub(super) async fn flush(&self) -> Result<(), AuditUnavailable> {
        let (flushed, done) = oneshot::channel();
        self.flushes.send(flushed).await.map_err(|_| AuditUnavailable::closed())?;
        done.await.map_err(|_| AuditUnavailable::closed())?
    }

    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        // An error says that the task is gone: it has ended.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

impl Task {
    async fn run(mut self, mut asked: mpsc::Receiver<Flushed>, mut close: watch::Receiver<bool>) {
        loop {
            let flushed = tokio::select! {
                biased;
                // Nobody can close it any more when this fails.
                _ = close.wait_for(|close| *close) => break,
                flushed = asked.recv() => flushed,
                () = self.due() => None,
            };
            let moved = self.move_all().await;
            if let Some(flushed) = flushed {
                // Who asked may have gone away.
                let _ = flushed.send(moved);
            }
        }
        if self.move_all().await.is_ok() {
            self.reader.remove();
        }
    }

    /// Returns when what was appended should be moved.
    async fn due(&self) {
        if self.in_doubt {
            return tokio::time::sleep(RETRY).await;
        }
        self.signal.notify.notified().await;
        tokio::time::sleep(GATHER).await;
    }

    /// Moves everything there is.
    async fn move_all(&mut self) -> Result<(), AuditUnavailable> {
        // What is appended from here on is said again.
        self.signal.given.swap(false, Ordering::AcqRel);
        let was_in_doubt = self.in_doubt;
        match self.try_to_move_all().await {
            Ok(()) => {
                if was_in_doubt {
                    tracing::info!("the audit trail is in the database again");
                }
                Ok(())
            }
            Err(error) => {
                if !was_in_doubt {
                    tracing::error!(%error, "the audit trail waits in its journal: the database does not take it");
                }
                self.in_doubt = true;
                Err(error)
            }
        }
    }

    async fn try_to_move_all(&mut self) -> Result<(), AuditUnavailable> {
        loop {
            let next = self.reader.peek().map_err(|error| AuditUnavailable::because(&error))?;
            let Some(batch) = next else { return Ok(()) };
            self.append(&batch).await?;
            self.reader.forget(&batch);
        }
    }

    async fn append(&mut self, batch: &JournalBatch) -> Result<(), AuditUnavailable> {
        let unavailable = |error: StoreError| AuditUnavailable::because(&error);
        let audit = self.store.audit();
        let mut missing = batch.rows.as_slice();
        if self.in_doubt {
            // A connection lost after the commit reports an error for what is stored.
            let stored = audit.head(self.chain).await.map_err(unavailable)?;
            let stored = stored.map_or(0, |(seq, _)| seq);
            missing = &missing[missing.partition_point(|row| row.seq <= stored)..];
        }
        audit.append(missing).await.map_err(unavailable)?;
        self.in_doubt = false;
        Ok(())
    }
}
