//! One live instance of a server, and the right to use it for a moment.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use trunkline_model::ServerSpec;
use trunkline_profiles::Permit;

use super::server::Server;
use crate::upstream::{Connection, Exchange, InstanceKey, Outgoing, Owner, UpstreamError};

/// How long whoever caused a start has to take what it brought, in milliseconds.
const FIRST_USE: u64 = 1000;

/// For how long an instance is kept because of what runs in it, at most.
const LONGEST_KEPT: Duration = Duration::from_hours(24);

/// A connection and who uses it.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) owner: Owner,
    pub(super) connection: Connection,
    /// Failures in a row before this instance came to be.
    failures: u32,
    /// Whether it has answered anything since its handshake.
    answered: AtomicBool,
    leases: AtomicUsize,
    started: Instant,
    /// Milliseconds after `started`.
    last_used: AtomicU64,
    /// Until when a task that it runs keeps it, as `last_used`.
    kept_until: AtomicU64,
    released: Notify,
}

impl Instance {
    pub(super) fn new(owner: Owner, connection: Connection, failures: u32) -> Self {
        Self {
            owner,
            connection,
            failures,
            answered: AtomicBool::new(false),
            leases: AtomicUsize::new(0),
            started: Instant::now(),
            last_used: AtomicU64::new(FIRST_USE),
            kept_until: AtomicU64::new(0),
            released: Notify::new(),
        }
    }

    /// Failures in a row, now that this instance has ended by itself. One that
    /// never answered counts with those before it.
    pub(super) fn failures_with_its_end(&self) -> u32 {
        if self.answered.load(Ordering::Relaxed) { 1 } else { self.failures.saturating_add(1) }
    }

    /// To be called while the server's slots are locked, so that an instance
    /// about to stop is not taken.
    pub(super) fn take(&self) {
        self.leases.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_used.store(now, Ordering::Relaxed);
        if self.leases.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.released.notify_waiters();
        }
    }

    /// For how long nobody has used it; none while somebody does, or is about
    /// to, or has a task in it.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        if self.is_kept() || self.leases.load(Ordering::Acquire) > 0 {
            return None;
        }
        let last_used = Duration::from_millis(self.last_used.load(Ordering::Relaxed));
        self.started.elapsed().checked_sub(last_used)
    }

    /// Keeps it for `lifetime` from now, whoever uses it.
    fn keep_for(&self, lifetime: Duration) {
        let until = self.started.elapsed().saturating_add(lifetime.min(LONGEST_KEPT)).as_millis();
        self.kept_until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether a task keeps it.
    pub(super) fn is_kept(&self) -> bool {
        self.started.elapsed() < Duration::from_millis(self.kept_until.load(Ordering::Relaxed))
    }

    /// Whether it works, has answered somebody, and is used by nobody. To be
    /// called while the server's slots are locked: until somebody has been
    /// answered, whoever caused the start has yet to take it.
    pub(super) fn is_free(&self) -> bool {
        !self.connection.is_closed()
            && self.answered.load(Ordering::Relaxed)
            && self.leases.load(Ordering::Acquire) == 0
    }

    /// Waits until nobody uses it, `patience` at most.
    pub(super) async fn unused(&self, patience: Duration) {
        let waiting = async {
            loop {
                let released = self.released.notified();
                if self.leases.load(Ordering::Acquire) == 0 {
                    return;
                }
                released.await;
            }
        };
        // Whoever still uses it then gets the error of a closed link.
        drop(timeout(patience, waiting).await);
    }
}

/// The right to use an instance. While it is held the instance counts as busy
/// and one of the server's places for requests in flight is taken: keep it as
/// long as the exchange is open, and no longer.
#[derive(Debug)]
pub struct Lease {
    pub(super) instance: Arc<Instance>,
    pub(super) place: Place,
}

impl Lease {
    pub fn spec(&self) -> &ServerSpec {
        self.place.server.spec()
    }

    /// Gives back the place among the requests in flight: the instance is kept,
    /// and nothing is under way.
    #[must_use]
    pub fn without_place(mut self) -> Self {
        self.place.give_back();
        self
    }

    /// Which instance it is of.
    pub fn key(&self) -> Arc<InstanceKey> {
        self.instance.owner.key()
    }

    /// Keeps the instance although nobody uses it: a task that it runs must
    /// live for `lifetime`, which is bounded.
    pub(crate) fn keep_for(&self, lifetime: Duration) {
        self.instance.keep_for(lifetime);
    }

    /// [`Connection::call`], with what it says about the server noted. After
    /// [`UpstreamError::SessionLost`] the next lease is of a new instance.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call(&self, permit: &Permit, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        let server = &self.spec().name;
        if permit.server() != server {
            let reason = format!("the permit is for {}", permit.server());
            return Err(UpstreamError::Unreachable { server: server.clone(), reason });
        }
        self.noted(self.instance.connection.call(permit, outgoing).await)
    }

    /// [`Connection::notify`], with what it says about the server noted.
    ///
    /// # Errors
    /// As [`Connection::notify`].
    pub async fn notify(&self, permit: &Permit, body: Bytes) -> Result<(), UpstreamError> {
        let sent = self.instance.connection.notify(permit, body).await;
        sent.inspect_err(|error| self.failed(error))
    }

    /// Notes an error that came later: from an open exchange, or because the
    /// caller's patience ended.
    pub fn failed(&self, error: &UpstreamError) {
        self.place.server.failed(error, &self.instance);
    }

    pub(super) fn noted(&self, result: Result<Exchange, UpstreamError>) -> Result<Exchange, UpstreamError> {
        match &result {
            Ok(_) => {
                self.instance.answered.store(true, Ordering::Relaxed);
                self.place.server.answered();
            }
            Err(error) => self.failed(error),
        }
        result
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.instance.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.release();
    }
}

/// One of a server's places for requests in flight, until it is given back.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: Arc<Server>,
    taken: bool,
}

impl Place {
    /// # Errors
    /// [`UpstreamError::Busy`] when all are taken.
    pub(super) fn take(server: &Arc<Server>, limit: usize) -> Result<Self, UpstreamError> {
        if server.in_flight.fetch_add(1, Ordering::Relaxed) >= limit {
            server.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(UpstreamError::Busy { limit });
        }
        Ok(Self { server: Arc::clone(server), taken: true })
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back();
    }
}
