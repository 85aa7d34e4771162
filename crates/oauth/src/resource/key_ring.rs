//! Every API key, in memory, and how memory keeps up with the database.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tracing::{info, warn};
use trunkline_model::{ApiKey, Clock, KeyHash, KeyId, Timestamp};
use trunkline_storage::{Store, StoreError};

use super::Refused;

/// How long a request with an unknown key may wait for the database.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often, in the long run, unknown keys may make the hub ask the database…
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// …and how many times at once, after a quiet while.
const LOOK_BURST: u32 = 20;
/// After a failure, how long until the database is asked again: a revocation
/// made meanwhile is late by at most this.
const RETRY: Duration = Duration::from_millis(500);

pub(super) type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where the keys are kept.
pub(super) trait KeySource: fmt::Debug + Send + Sync {
    /// Raised by every change of a key.
    fn version(&self) -> Asked<'_, i64>;
    fn list(&self) -> Asked<'_, Vec<ApiKey>>;
    /// Waits until the version is greater than `version`.
    fn wait_past(&self, version: i64) -> Pin<Box<dyn Future<Output = i64> + Send + '_>>;
}

impl KeySource for Arc<Store> {
    fn version(&self) -> Asked<'_, i64> {
        Box::pin(self.changes().version())
    }

    fn list(&self) -> Asked<'_, Vec<ApiKey>> {
        Box::pin(self.keys().list())
    }

    fn wait_past(&self, version: i64) -> Pin<Box<dyn Future<Output = i64> + Send + '_>> {
        Box::pin(self.changes().wait_past(version))
    }
}

/// The keys of one version. Revoked and expired ones are among them, so that
/// their bearers can be told what is the matter.
#[derive(Debug)]
struct Known {
    version: i64,
    keys: HashMap<KeyHash, Arc<ApiKey>>,
}

#[derive(Debug)]
pub(super) struct KeyRing {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    known: ArcSwap<Known>,
    /// Held by the one request that asks the database for an unknown key.
    looks: Mutex<LookBudget>,
}

impl KeyRing {
    pub(super) async fn load(source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let known = ArcSwap::from_pointee(Known::read(source.as_ref()).await?);
        Ok(Self { source, clock, known, looks: Mutex::default() })
    }

    /// The key with this hash, from memory.
    pub(super) fn known(&self, hash: &KeyHash) -> Option<Arc<ApiKey>> {
        self.known.load().keys.get(hash).cloned()
    }

    /// The key with this id, from memory.
    pub(super) fn by_id(&self, id: KeyId) -> Option<Arc<ApiKey>> {
        self.known.load().keys.values().find(|key| key.id == id).cloned()
    }

    /// For a key that is not in memory: perhaps another process made it a
    /// moment ago. The database is asked once for all who wait, and only so
    /// often, so that a flood of invented keys does not reach it.
    ///
    /// # Errors
    /// [`Refused::Unknown`], or [`Refused::Unavailable`] when the database does not answer.
    pub(super) async fn look_for(&self, hash: &KeyHash) -> Result<Arc<ApiKey>, Refused> {
        let mut budget = self.looks.lock().await;
        if let Some(key) = self.known(hash) {
            return Ok(key);
        }
        if !budget.take(self.clock.now()) {
            return Err(Refused::Unknown);
        }
        match tokio::time::timeout(LOOK_TIMEOUT, self.catch_up()).await {
            Ok(Ok(())) => self.known(hash).ok_or(Refused::Unknown),
            Ok(Err(error)) => {
                warn!(%error, "an API key that is not in memory could not be looked up");
                Err(Refused::Unavailable)
            }
            Err(_) => {
                warn!(
                    waited_ms = LOOK_TIMEOUT.as_millis(),
                    "the database did not answer whether an API key exists"
                );
                Err(Refused::Unavailable)
            }
        }
    }

    /// Keeps memory as new as the database, for ever. While the database is
    /// away, memory stays as it is.
    pub(super) async fn follow_changes(&self) {
        let mut away = false;
        loop {
            let version = self.known.load().version;
            self.source.wait_past(version).await;
            match self.catch_up().await {
                Ok(()) if away => {
                    away = false;
                    info!("API keys are read again");
                }
                Ok(()) => {}
                Err(error) if away => tracing::debug!(%error, "API keys still cannot be read"),
                Err(error) => {
                    away = true;
                    warn!(%error, "API keys cannot be read; those in memory stay valid");
                }
            }
            if self.known.load().version == version {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Makes memory as new as the database, now.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        if self.source.version().await? <= self.known.load().version {
            return Ok(());
        }
        let newer = Arc::new(Known::read(self.source.as_ref()).await?);
        // Another may have read meanwhile: the newer one stays.
        self.known
            .rcu(|known| if known.version < newer.version { Arc::clone(&newer) } else { Arc::clone(known) });
        Ok(())
    }
}

impl Known {
    /// The version is read before the keys: a change between the two is read
    /// again rather than missed.
    async fn read(source: &dyn KeySource) -> Result<Self, StoreError> {
        let version = source.version().await?;
        let keys = source.list().await?;
        Ok(Self { version, keys: keys.into_iter().map(|key| (key.hash, Arc::new(key))).collect() })
    }
}

/// A bucket that holds [`LOOK_BURST`] looks and gains one each [`LOOK_INTERVAL`].
#[derive(Debug, Default)]
struct LookBudget {
    /// When the bucket is full again.
    full_at: Option<Timestamp>,
}

impl LookBudget {
    fn take(&mut self, now: Timestamp) -> bool {
        let start = self.full_at.map_or(now, |full_at| full_at.max(now));
        if start.since(now) > LOOK_INTERVAL * (LOOK_BURST - 1) {
            return false;
        }
        self.full_at = Some(start.plus(LOOK_INTERVAL));
        true
    }
}

#[cfg(test)]
mod tests {
    use trunkline_model::ManualClock;

    use super::*;

    #[test]
    fn looks_come_in_a_burst_and_then_at_their_pace() {
        let clock = ManualClock::starting_at(Timestamp::from_micros(0));
        let mut budget = LookBudget::default();
        let mut taken = || (0..100).filter(|_| budget.take(clock.now())).count();
        assert_eq!(taken(), 20);
        clock.advance(LOOK_INTERVAL * 3);
        assert_eq!(taken(), 3);
        clock.advance(Duration::from_hours(1));
        assert_eq!(taken(), 20);
    }
}
