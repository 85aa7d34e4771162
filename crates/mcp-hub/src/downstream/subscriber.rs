//! Somebody who wants to hear what happens: the stream of a legacy session,
//! or a `subscriptions/listen` of a modern client.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::Notify;
use trunkline_model::{Caller, ProfileName};

use crate::catalog::ListKind;
use crate::upstream::{InstanceKey, Offer, Scope};

/// Messages kept for a client that is not listening right now.
const LONGEST_QUEUE: usize = 256;

/// A queue of messages for one stream.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub caller: Caller,
    /// The downstream session, for instances that serve one session.
    pub session: Option<uuid::Uuid>,
    /// What its client can be asked for, once that is known.
    pub offer: OnceLock<Offer>,
    /// Which list changes it wants; a legacy session wants all.
    pub wants: Vec<ListKind>,
    /// A server has said in this session that its lists changed, and has not
    /// been asked what they are now.
    pub lists_changed: AtomicBool,
    /// A server lists something else in this session than it does otherwise.
    pub has_own_lists: AtomicBool,
    /// The least serious log messages wanted; 0 for "never set": all pass.
    log_level: AtomicU8,
    queue: Mutex<Queue>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    changed: Vec<ListKind>,
    messages: VecDeque<Bytes>,
    /// Resources that changed, each once.
    updated: VecDeque<String>,
    /// Grows when another stream takes over; the older one ends.
    reader: u64,
}

/// What a stream sends next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    ListChanged(ListKind),
    Message(Bytes),
    /// The resource that the client knows by this URI has changed.
    Updated(String),
    /// Another stream of the same session took over.
    Superseded,
}

impl Subscriber {
    pub(crate) fn new(caller: Caller, session: Option<uuid::Uuid>, wants: Vec<ListKind>) -> Self {
        Self {
            caller,
            session,
            offer: OnceLock::new(),
            wants,
            lists_changed: AtomicBool::new(false),
            has_own_lists: AtomicBool::new(false),
            log_level: AtomicU8::new(0),
            queue: Mutex::default(),
            woken: Notify::new(),
        }
    }

    /// Whether what this instance does concerns the subscriber.
    pub(crate) fn sees(&self, key: &InstanceKey) -> bool {
        match &key.scope {
            Scope::Everybody => true,
            Scope::Identity(identity, offer) => {
                identity == self.caller.identity() && (offer.is_nothing() || Some(offer) == self.offer.get())
            }
            Scope::Session(identity, session, _) => {
                identity == self.caller.identity() && self.session == Some(*session)
            }
        }
    }

    pub(crate) fn profile(&self) -> &ProfileName {
        self.caller.profile()
    }

    pub(crate) fn set_log_level(&self, level: u8) {
        self.log_level.store(level, Ordering::Relaxed);
    }

    pub(crate) fn log_level(&self) -> u8 {
        self.log_level.load(Ordering::Relaxed)
    }

    /// Notes that a list changed; several changes become one notification.
    pub(crate) fn list_changed(&self, kind: ListKind) {
        if !self.wants.contains(&kind) {
            return;
        }
        let mut queue = self.lock();
        if !queue.changed.iter().any(|known| known.changed() == kind.changed()) {
            queue.changed.push(kind);
        }
        drop(queue);
        self.woken.notify_one();
    }

    /// Notes that a resource changed; several changes become one notification.
    pub(crate) fn resource_updated(&self, uri: String) {
        let mut queue = self.lock();
        if queue.updated.contains(&uri) {
            return;
        }
        if queue.updated.len() == LONGEST_QUEUE {
            queue.updated.pop_front();
        }
        queue.updated.push_back(uri);
        drop(queue);
        self.woken.notify_one();
    }

    /// Queues a message; the oldest is lost when nobody listens for long.
    pub(crate) fn push(&self, message: Bytes) {
        let mut queue = self.lock();
        if queue.messages.len() == LONGEST_QUEUE {
            queue.messages.pop_front();
        }
        queue.messages.push_back(message);
        drop(queue);
        self.woken.notify_one();
    }

    /// Takes over as the one stream that reads; an older stream ends.
    pub(crate) fn take_over(&self) -> u64 {
        let mut queue = self.lock();
        queue.reader += 1;
        let reader = queue.reader;
        drop(queue);
        self.woken.notify_waiters();
        reader
    }

    /// The next thing to send; waits for it.
    pub(crate) async fn next(&self, reader: u64) -> Due {
        loop {
            let woken = self.woken.notified();
            if let Some(due) = self.due(reader) {
                return due;
            }
            woken.await;
        }
    }

    fn due(&self, reader: u64) -> Option<Due> {
        let mut queue = self.lock();
        if queue.reader != reader {
            return Some(Due::Superseded);
        }
        if let Some(kind) = queue.changed.pop() {
            return Some(Due::ListChanged(kind));
        }
        if let Some(message) = queue.messages.pop_front() {
            return Some(Due::Message(message));
        }
        queue.updated.pop_front().map(Due::Updated)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everybody who listens.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    all: Mutex<Vec<Weak<Subscriber>>>,
}

impl Subscribers {
    pub(crate) fn add(&self, subscriber: &Arc<Subscriber>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Room is made when it is needed, so that adding stays cheap.
        if all.len() == all.capacity() {
            all.retain(|weak| weak.strong_count() > 0);
        }
        all.push(Arc::downgrade(subscriber));
    }

    /// Calls `tell` with everybody who is still there.
    pub(crate) fn each(&self, mut tell: impl FnMut(&Arc<Subscriber>)) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let living: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        drop(all);
        for subscriber in living {
            tell(&subscriber);
        }
    }
}
