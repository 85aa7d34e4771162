//! Every API key, in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::warn;
use trunkline_model::{ApiKey, Clock, KeyId, Timestamp, TokenHash};
use trunkline_storage::{Store, StoreError, Topic};

use super::Refused;
use crate::mirror::{Mirror, Origin, Stored};
use crate::uses::Uses;

/// How long a request with an unknown key may wait for the database.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often, in the long run, unknown keys may make the hub ask the database…
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// …and how many times at once, after a quiet while.
const LOOK_BURST: u32 = 20;
/// How long a key is remembered that nobody uses.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Keys by their hashes and by their ids. Revoked and expired ones are among
/// them, so that their bearers can be told what is the matter.
#[derive(Debug)]
pub(super) struct Keys {
    by_hash: HashMap<TokenHash, Arc<ApiKey>>,
    by_id: HashMap<KeyId, Arc<ApiKey>>,
}

impl Keys {
    pub(super) fn new(keys: Vec<ApiKey>) -> Self {
        let keys: Vec<Arc<ApiKey>> = keys.into_iter().map(Arc::new).collect();
        Self {
            by_hash: keys
                .iter()
                .flat_map(|key| {
                    let previous = key.previous.map(|previous| (previous.hash, Arc::clone(key)));
                    previous.into_iter().chain([(key.hash, Arc::clone(key))])
                })
                .collect(),
            by_id: keys.into_iter().map(|key| (key.id, key)).collect(),
        }
    }
}

#[derive(Debug)]
pub(super) struct KeyRing {
    keys: Mirror<Keys>,
    uses: Uses<KeyId>,
    clock: Arc<dyn Clock>,
    /// Held by the one request that asks the database for an unknown key.
    looks: Mutex<LookBudget>,
}

/// Where the keys are kept.
pub(super) fn stored(store: Arc<Store>) -> impl Origin<Keys> {
    Stored {
        store,
        what: "API keys",
        topics: &[Topic::Keys],
        read: |store| Box::pin(async { Ok(Keys::new(store.keys().list().await?)) }),
    }
}

impl KeyRing {
    pub(super) async fn load(
        origin: impl Origin<Keys> + 'static,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Ok(Self { keys: Mirror::load(origin).await?, uses: Uses::default(), clock, looks: Mutex::default() })
    }

    /// The key with this hash, from memory.
    pub(super) fn known(&self, hash: &TokenHash) -> Option<Arc<ApiKey>> {
        self.keys.get().by_hash.get(hash).cloned()
    }

    /// The key with this id, from memory.
    pub(super) fn by_id(&self, id: KeyId) -> Option<Arc<ApiKey>> {
        self.keys.get().by_id.get(&id).cloned()
    }

    /// For a key that is not in memory: perhaps another process made it a
    /// moment ago. The database is asked once for all who wait, and only so
    /// often, so that a flood of invented keys does not reach it.
    ///
    /// # Errors
    /// [`Refused::Unknown`], or [`Refused::Unavailable`] when the database does not answer.
    pub(super) async fn look_for(&self, hash: &TokenHash) -> Result<Arc<ApiKey>, Refused> {
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

    pub(super) fn note_use(&self, id: KeyId) {
        self.uses.note(id, self.clock.now());
    }

    /// Writes when keys were last used, where that is news.
    pub(super) async fn write_uses(&self, store: &Store) {
        let uses = self.uses.take_unwritten(super::WRITE_INTERVAL);
        if !uses.is_empty()
            && let Err(error) = store.keys().used(&uses).await
        {
            tracing::debug!(%error, "when API keys were used could not be written");
        }
        self.uses.forget(self.clock.now(), FORGET_AFTER);
    }

    pub(super) async fn follow_changes(&self) {
        self.keys.follow_changes().await;
    }

    /// Makes memory as new as the database, now.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        self.keys.catch_up().await
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
