//! What is kept for one client: in the legacy era for a session, over standard
//! input and output for the process. A request of the modern era over HTTP
//! stands alone and gets a fresh one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::log::Level;

#[derive(Default)]
pub(crate) struct Session {
    calls_of_counter: AtomicU64,
    level: Mutex<Level>,
    /// Each with the number of changes there had been when it was made.
    subscriptions: Mutex<BTreeMap<String, u64>>,
    was_sent_to_url: AtomicBool,
}

impl Session {
    /// One more than the last time, beginning with 1.
    pub(crate) fn count(&self) -> u64 {
        self.calls_of_counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn level(&self) -> Level {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_level(&self, level: Level) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    pub(crate) fn subscribe(&self, uri: String, changes_before: u64) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).insert(uri, changes_before);
    }

    pub(crate) fn unsubscribe(&self, uri: &str) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }

    /// Whether the subscription was there when the change with this number was made.
    pub(crate) fn was_subscribed(&self, uri: &str, change: u64) -> bool {
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        subscriptions.get(uri).is_some_and(|changes_before| change > *changes_before)
    }

    /// Whether the client was sent to a URL by an error before; from now on it was.
    pub(crate) fn send_to_url(&self) -> bool {
        self.was_sent_to_url.swap(true, Ordering::Relaxed)
    }
}
