//! The lists of one server instance, kept warm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use trunkline_model::Timestamp;

use super::lists::ServerLists;
use crate::upstream::{InstanceKey, UpstreamError};

/// Lists older than this are asked for again, behind the answer.
const OLD: Duration = Duration::from_mins(10);
/// A server that failed is asked again no sooner than this.
const RETRY: Duration = Duration::from_secs(5);
/// A server that says without end that its lists changed is asked no sooner
/// than this after its last answer.
const PACE: Duration = Duration::from_millis(200);

/// Where the lists of one instance stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct CellState {
    pub lists: Option<Arc<ServerLists>>,
    /// The lists are what the hub itself was told, not yet this instance's own.
    pub seeded: bool,
    pub phase: Phase,
    /// One question is under way, whatever changed since it was asked.
    asking: bool,
    answered: Option<Instant>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Never asked for.
    #[default]
    New,
    /// Being asked for; what there is may be old.
    Fetching,
    Fresh(Timestamp),
    /// The server said that something changed.
    Stale,
    Failed {
        at: Timestamp,
        why: String,
        /// Where a person connects the server, if that is what it waits for.
        connect_at: Option<String>,
    },
}

/// The lists of one instance; everyone whose view has the instance holds it.
#[derive(Debug)]
pub(crate) struct ListCell {
    pub key: InstanceKey,
    /// Grows with each change of content.
    generation: AtomicU64,
    state: watch::Sender<CellState>,
    /// When somebody first waited for it.
    first_asked: std::sync::OnceLock<Instant>,
    /// Somebody was served a list without this server's part.
    missed: AtomicBool,
    /// Whoever is served by it knows that its lists changed.
    told: AtomicBool,
    last_used: AtomicI64,
}

impl ListCell {
    /// A cell that shows `seed` until its instance has been asked.
    pub(crate) fn new(key: InstanceKey, now: Timestamp, seed: Option<Arc<ServerLists>>) -> Self {
        let state = CellState { seeded: seed.is_some(), lists: seed, ..CellState::default() };
        Self {
            key,
            generation: AtomicU64::new(0),
            state: watch::Sender::new(state),
            first_asked: std::sync::OnceLock::new(),
            missed: AtomicBool::new(false),
            told: AtomicBool::new(false),
            last_used: AtomicI64::new(now.as_micros()),
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn state(&self) -> CellState {
        self.state.borrow().clone()
    }

    pub(crate) fn has_lists(&self) -> bool {
        self.state.borrow().lists.is_some()
    }

    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.state.borrow().phase, Phase::Fresh(_))
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.state.borrow().phase == Phase::Stale
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.last_used.store(now.as_micros(), Ordering::Relaxed);
    }

    pub(crate) fn idle_for(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_micros(self.last_used.load(Ordering::Relaxed)))
    }

    /// Whether the lists should be asked for now; says yes to one asker only.
    pub(crate) fn claim_fetch(&self, now: Timestamp) -> bool {
        self.state.send_if_modified(|state| {
            let due = match &state.phase {
                Phase::New | Phase::Stale => true,
                Phase::Fetching => false,
                Phase::Fresh(at) => now.since(*at) > OLD,
                Phase::Failed { at, .. } => now.since(*at) > RETRY,
            };
            let claimed = due && !state.asking;
            if claimed {
                state.phase = Phase::Fetching;
                state.asking = true;
            }
            claimed
        })
    }

    /// Comes back when the instance may be asked again.
    pub(crate) async fn pace(&self) {
        let answered = self.state.borrow().answered;
        if let Some(answered) = answered {
            tokio::time::sleep_until(answered + PACE).await;
        }
        // The question comes after all that the server has said until now.
        self.state.send_if_modified(|state| {
            if state.phase == Phase::Stale {
                state.phase = Phase::Fetching;
            }
            false
        });
    }

    /// Notes that the server said its lists changed.
    pub(crate) fn mark_stale(&self) {
        self.state.send_modify(|state| state.phase = Phase::Stale);
    }

    /// The same, where whoever is served by it has been told already.
    pub(crate) fn mark_stale_and_told(&self) {
        self.told.store(true, Ordering::Release);
        self.mark_stale();
    }

    /// Keeps what was fetched. Answers whether those who were served before
    /// should be told.
    pub(crate) fn put(&self, lists: Arc<ServerLists>, changed: bool, now: Timestamp) -> bool {
        self.state.send_modify(|state| {
            let meanwhile = state.phase == Phase::Stale;
            state.lists = Some(lists);
            state.seeded = false;
            state.phase = if meanwhile { Phase::Stale } else { Phase::Fresh(now) };
            state.asking = false;
            state.answered = Some(Instant::now());
            self.another_generation();
        });
        let told = self.told.swap(false, Ordering::AcqRel);
        self.missed.swap(false, Ordering::AcqRel) || (changed && !told)
    }

    /// Shows what the hub itself was told to whoever waits for this instance,
    /// unless it has lists of its own or has failed. Answers whether those who
    /// were served before should be told.
    pub(crate) fn seed(&self, lists: &Arc<ServerLists>) -> bool {
        let seeded = self.state.send_if_modified(|state| {
            let waits = state.lists.is_none() && !matches!(state.phase, Phase::Failed { .. });
            if waits {
                state.lists = Some(Arc::clone(lists));
                state.seeded = true;
                self.another_generation();
            }
            waits
        });
        seeded && self.missed.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn fail(&self, error: &UpstreamError, now: Timestamp) {
        let connect_at = error.connect_at().map(ToOwned::to_owned);
        self.state.send_modify(|state| {
            state.phase = Phase::Failed { at: now, why: error.to_string(), connect_at };
            state.asking = false;
            // The label of this server's part changes.
            self.another_generation();
        });
    }

    /// To be called while the state is locked: whoever is woken by the change
    /// must not find a view of the old state that looks current.
    fn another_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn note_missed(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// Waits until there is something to show or the server failed, at most
    /// `patience` from when somebody first waited for this instance.
    pub(crate) async fn first_answer(&self, patience: Duration) {
        let deadline = *self.first_asked.get_or_init(Instant::now) + patience;
        let mut state = self.state.subscribe();
        let settled =
            |state: &CellState| state.lists.is_some() || matches!(state.phase, Phase::Failed { .. });
        // An elapsed deadline or a closed cell: the view is made of what there is.
        let _ = tokio::time::timeout_at(deadline, state.wait_for(settled)).await;
    }

    /// Waits, at most `patience`, until nobody is asking the server for its lists.
    pub(crate) async fn settled(&self, patience: Duration) {
        let mut state = self.state.subscribe();
        let settled = |state: &CellState| matches!(state.phase, Phase::Fresh(_) | Phase::Failed { .. });
        // Whoever waited looks at what there is, in time or not.
        let _ = tokio::time::timeout(patience, state.wait_for(settled)).await;
    }
}
