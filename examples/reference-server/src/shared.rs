//! What all clients of one process share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use rmcp::task_manager::TaskManager;
use tokio::sync::broadcast;

use crate::change::{Change, Numbered};
use crate::options::Conduct;
use crate::seal::Seal;

/// How many changes may wait for a client that is slow to take them; it misses older ones.
const WAITING_CHANGES: usize = 64;

pub(crate) struct Shared {
    pub(crate) conduct: Conduct,
    pub(crate) seal: Seal,
    pub(crate) tasks: TaskManager,
    changes: broadcast::Sender<Numbered>,
    extra: Mutex<Extra>,
    pub(crate) calls: Calls,
}

/// Which entries that come and go are there now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extra {
    pub(crate) tool: bool,
    pub(crate) prompt: bool,
    pub(crate) resource: bool,
    /// How many changes there have been, of anything.
    pub(crate) changes: u64,
}

/// How many calls of tools there were, for who must know what reached this server.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    begun: AtomicU64,
    cancelled: AtomicU64,
}

impl Calls {
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// # Errors
    /// When there is no key that seals states.
    pub(crate) fn new(conduct: Conduct) -> Result<Self> {
        Ok(Self {
            conduct,
            seal: Seal::with_random_key()?,
            tasks: TaskManager::new(),
            changes: broadcast::Sender::new(WAITING_CHANGES),
            extra: Mutex::default(),
            calls: Calls::default(),
        })
    }

    pub(crate) fn extra(&self) -> Extra {
        *self.extra.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, and tells everyone who listens.
    pub(crate) fn change(&self, change: Change) {
        let mut extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Tools => extra.tool = !extra.tool,
            Change::Prompts => extra.prompt = !extra.prompt,
            Change::Resources => extra.resource = !extra.resource,
            Change::Resource(_) => {}
        }
        extra.changes += 1;
        // It fails when nobody listens. Sent under the lock, so that numbers arrive in their order.
        drop(self.changes.send(Numbered { number: extra.changes, change }));
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<Numbered> {
        self.changes.subscribe()
    }
}
