//! The writer: gathers what waits, hashes it into the chain, writes it in one
//! statement, and tells each caller. What came meanwhile is the next batch.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use trunkline_model::{AuditEvent, Clock, Timestamp};
use trunkline_storage::{AuditAppender, Store};
use uuid::Uuid;

use super::chain::Head;

/// Events that may wait before a request waits for a place.
const QUEUE: usize = 8192;
/// Events taken from the queue at once; a batch is not larger than this.
const GATHERED: usize = 64;
/// Events kept for later while the database is away; then the oldest go.
const BACKLOG: usize = 8192;
/// How often a database that is away is tried again without new events.
const RETRY: Duration = Duration::from_secs(1);
/// How long the connection is kept for events that may follow.
const LINGER: Duration = Duration::from_millis(5);

/// The trail cannot be written: what was to be recorded is not durable, and
/// the answer must not leave. Trying again later is safe for the hub's part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the audit trail cannot be written: {reason}")]
pub struct AuditUnavailable {
    reason: Arc<str>,
}

/// Where events go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditLog {
    queue: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    chain: Uuid,
    /// Asks the writer to write what waits and end.
    closing: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

/// A place in the queue, held while the event is not made yet.
#[derive(Debug)]
pub(crate) struct Slot<'a>(mpsc::Permit<'a, Entry>);

/// An event on its way. It is made into JSON where it happened, so that the
/// writer only hashes and inserts.
#[derive(Debug)]
struct Entry {
    at: Timestamp,
    payload: String,
    /// None when nobody waits.
    done: Option<oneshot::Sender<Result<(), AuditUnavailable>>>,
}

struct Writer {
    store: Arc<Store>,
    appender: AuditAppender,
    head: Head,
    /// Whether a write failed, so that the stored head may differ from ours.
    in_doubt: bool,
}

impl AuditLog {
    /// Starts this process's chain and the task that writes it. Must be
    /// called within a Tokio runtime.
    pub fn start(store: Arc<Store>, clock: &dyn Clock) -> Self {
        let chain = id_at(clock.now());
        let (queue, entries) = mpsc::channel(QUEUE);
        let (closing, close) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let appender = AuditAppender::new(Arc::clone(&store));
        let writer = Writer { store, appender, head: Head::start_of(chain), in_doubt: false };
        tokio::spawn(async move {
            writer.run(entries, close).await;
            end.send_replace(true);
        });
        Self { queue, shared: Arc::new(Shared { chain, closing, ended }) }
    }

    /// The id of this process's chain.
    pub fn chain(&self) -> Uuid {
        self.shared.chain
    }

    /// Appends an event and returns once it is durable against a killed process.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: it is not, though it may become so later.
    pub async fn append(&self, event: &AuditEvent) -> Result<(), AuditUnavailable> {
        self.slot().await?.append(event).await
    }

    /// Appends an event without waiting for anything.
    pub(crate) fn append_aside(&self, event: &AuditEvent) {
        let entry = match Entry::new(event) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, event_id = %event.id, "lost an audit event");
                return;
            }
        };
        match self.queue.try_send(entry) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(entry)) => self.send_later(entry),
            Err(mpsc::error::TrySendError::Closed(entry)) => lose(&entry),
        }
    }

    /// Waits for a place in the queue.
    pub(crate) async fn slot(&self) -> Result<Slot<'_>, AuditUnavailable> {
        self.queue.reserve().await.map(Slot).map_err(|_| AuditUnavailable::closed())
    }

    /// Writes what waits and ends the task; later events are refused.
    pub async fn close(&self) {
        self.shared.closing.send_replace(true);
        // An error says that the task is gone: it has ended.
        let _ = self.shared.ended.clone().wait_for(|ended| *ended).await;
    }

    fn send_later(&self, entry: Entry) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return lose(&entry) };
        let queue = self.queue.clone();
        runtime.spawn(async move {
            if let Err(mpsc::error::SendError(entry)) = queue.send(entry).await {
                lose(&entry);
            }
        });
    }
}

impl Slot<'_> {
    /// Appends an event: it is queued when this returns, and durable when the
    /// future it returns is done.
    pub(crate) fn append(
        self,
        event: &AuditEvent,
    ) -> impl Future<Output = Result<(), AuditUnavailable>> + Send + 'static {
        let durable = Entry::new(event).map(|mut entry| {
            let (done, durable) = oneshot::channel();
            entry.done = Some(done);
            self.0.send(entry);
            durable
        });
        async move {
            match durable?.await {
                Ok(written) => written,
                Err(_) => Err(AuditUnavailable::closed()),
            }
        }
    }
}

impl Entry {
    fn new(event: &AuditEvent) -> Result<Self, AuditUnavailable> {
        match serde_json::to_string(event) {
            Ok(payload) => Ok(Self { at: event.at, payload, done: None }),
            Err(error) => Err(AuditUnavailable::because(&error)),
        }
    }

    fn tell(&mut self, result: Result<(), AuditUnavailable>) {
        if let Some(done) = self.done.take() {
            // Who no longer listens went away; the event stays.
            let _ = done.send(result);
        }
    }
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::Receiver<Entry>, mut close: watch::Receiver<bool>) {
        let mut waiting: Vec<Entry> = Vec::with_capacity(GATHERED);
        let mut is_open = true;
        loop {
            let gathered = tokio::select! {
                biased;
                gathered = self.gather(&mut entries, &mut waiting) => gathered,
                closing = close.wait_for(|close| *close), if is_open => {
                    is_open = false;
                    if closing.is_ok() {
                        // Takes no more; what is queued still comes.
                        entries.close();
                    }
                    continue;
                }
            };
            self.write(&mut waiting).await;
            if gathered == Some(0) && (waiting.is_empty() || self.in_doubt) {
                return waiting.iter().for_each(lose);
            }
            let surplus = waiting.len().saturating_sub(BACKLOG);
            waiting.drain(..surplus).for_each(|entry| lose(&entry));
        }
    }

    /// Waits for events and takes those that are there; none when it is time
    /// to write what was left, zero when no more will come.
    async fn gather(
        &mut self,
        entries: &mut mpsc::Receiver<Entry>,
        waiting: &mut Vec<Entry>,
    ) -> Option<usize> {
        if self.in_doubt && !waiting.is_empty() {
            return timeout(RETRY, entries.recv_many(waiting, GATHERED)).await.ok();
        }
        if !waiting.is_empty() {
            return poll_fn(|context| match entries.poll_recv_many(context, waiting, GATHERED) {
                Poll::Ready(gathered) => Poll::Ready(Some(gathered)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
        }
        if self.appender.is_holding() {
            if let Ok(gathered) = timeout(LINGER, entries.recv_many(waiting, GATHERED)).await {
                return Some(gathered);
            }
            self.appender.release();
        }
        Some(entries.recv_many(waiting, GATHERED).await)
    }

    /// Writes one batch of what waits and tells who waits for it. What fails
    /// keeps its place and is tried again, but nobody waits for it any longer.
    async fn write(&mut self, waiting: &mut Vec<Entry>) {
        let was_in_doubt = self.in_doubt;
        let batch = AuditAppender::batch_of(waiting.len());
        match self.append(&mut waiting[..batch]).await {
            Ok(()) => {
                if was_in_doubt && batch > 0 {
                    tracing::info!(events = waiting.len(), "the audit trail is written again");
                }
                waiting.drain(..batch).for_each(|mut entry| entry.tell(Ok(())));
            }
            Err(error) => {
                for entry in waiting.iter_mut() {
                    entry.tell(Err(error.clone()));
                }
                if !was_in_doubt {
                    tracing::error!(%error, "the audit trail cannot be written; no answer leaves until it can");
                }
            }
        }
    }

    async fn append(&mut self, batch: &mut [Entry]) -> Result<(), AuditUnavailable> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.in_doubt {
            self.resolve_doubt().await?;
        }
        let mut head = self.head;
        let rows: Vec<_> =
            batch.iter_mut().map(|entry| head.attach(entry.at, std::mem::take(&mut entry.payload))).collect();
        let stored = self.appender.append(&rows).await;
        if stored.is_ok() || self.is_stored(head).await {
            self.head = head;
            return Ok(());
        }
        self.in_doubt = true;
        for (entry, row) in batch.iter_mut().zip(rows) {
            entry.payload = row.payload;
        }
        stored.map_err(|error| AuditUnavailable::because(&error))
    }

    /// A connection lost after the commit reports an error for what is stored.
    async fn is_stored(&self, head: Head) -> bool {
        let stored = self.store.audit().head(head.chain).await;
        stored.is_ok_and(|stored| stored == Some((head.seq, head.hash)))
    }

    /// After a failure, goes on where the stored chain really ends.
    async fn resolve_doubt(&mut self) -> Result<(), AuditUnavailable> {
        let chain = self.head.chain;
        let stored =
            self.store.audit().head(chain).await.map_err(|error| AuditUnavailable::because(&error))?;
        self.head = stored.map_or_else(|| Head::start_of(chain), |(seq, hash)| Head { chain, seq, hash });
        self.in_doubt = false;
        Ok(())
    }
}

impl AuditUnavailable {
    fn because(error: &dyn std::fmt::Display) -> Self {
        Self { reason: error.to_string().into() }
    }

    fn closed() -> Self {
        Self { reason: "the hub is shutting down".into() }
    }
}

fn lose(entry: &Entry) {
    tracing::error!(event = entry.payload, "lost an audit event: it could not be written");
}

/// A new id of version 7 (RFC 9562 section 5.7) for this moment. Its random
/// part comes from the thread's generator, which asks the system only to
/// reseed itself: an event needs no system call for its id.
pub(crate) fn id_at(now: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &rand::random()).into_uuid()
}
