//! What is kept in memory of the database, and how memory keeps up with it.
//!
//! A request costs no trip to the database, and a database that is away locks
//! nobody out: what was known stays known until it can be read again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tracing::{info, warn};
use trunkline_storage::{Store, StoreError, Topic};

/// After a failure, how long until the database is asked again: a revocation
/// made meanwhile is late by at most this.
const RETRY: Duration = Duration::from_millis(500);

pub(crate) type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where the mirrored is kept.
pub(crate) trait Origin<T>: fmt::Debug + Send + Sync {
    /// What is kept, in the plural, for the log.
    fn what(&self) -> &'static str;
    /// Raised by every change.
    fn version(&self) -> Asked<'_, i64>;
    /// Whether anything that concerns this mirror changed after `version`.
    fn changed_since(&self, version: i64) -> Asked<'_, bool>;
    fn read(&self) -> Asked<'_, T>;
    /// Waits until the version is greater than `version`.
    fn wait_past(&self, version: i64) -> Pin<Box<dyn Future<Output = i64> + Send + '_>>;
}

/// What the database holds on some topics.
pub(crate) struct Stored<T> {
    pub(crate) store: Arc<Store>,
    pub(crate) what: &'static str,
    pub(crate) topics: &'static [Topic],
    pub(crate) read: for<'a> fn(&'a Store) -> Asked<'a, T>,
}

impl<T> fmt::Debug for Stored<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stored").field("what", &self.what).finish_non_exhaustive()
    }
}

impl<T> Origin<T> for Stored<T> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> Asked<'_, i64> {
        Box::pin(self.store.changes().version())
    }

    fn changed_since(&self, version: i64) -> Asked<'_, bool> {
        Box::pin(async move {
            let changed = self.store.changes().since(version).await?;
            Ok(changed.iter().any(|topic| self.topics.contains(topic)))
        })
    }

    fn read(&self) -> Asked<'_, T> {
        (self.read)(&self.store)
    }

    fn wait_past(&self, version: i64) -> Pin<Box<dyn Future<Output = i64> + Send + '_>> {
        Box::pin(self.store.changes().wait_past(version))
    }
}

/// A value as of one version of the database.
#[derive(Debug)]
pub(crate) struct Known<T> {
    version: i64,
    value: Arc<T>,
}

impl<T> std::ops::Deref for Known<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[derive(Debug)]
pub(crate) struct Mirror<T> {
    origin: Box<dyn Origin<T>>,
    known: ArcSwap<Known<T>>,
}

impl<T: Send + Sync> Mirror<T> {
    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub(crate) async fn load(origin: impl Origin<T> + 'static) -> Result<Self, StoreError> {
        let known = ArcSwap::from_pointee(read(&origin).await?);
        Ok(Self { origin: Box::new(origin), known })
    }

    /// The newest value, from memory.
    pub(crate) fn get(&self) -> Guard<Arc<Known<T>>> {
        self.known.load()
    }

    /// Keeps memory as new as the database, for ever. While the database is
    /// away, memory stays as it is.
    pub(crate) async fn follow_changes(&self) {
        let what = self.origin.what();
        let mut away = false;
        loop {
            let version = self.known.load().version;
            self.origin.wait_past(version).await;
            match self.catch_up().await {
                Ok(()) if away => {
                    away = false;
                    info!("{what} are read again");
                }
                Ok(()) => {}
                Err(error) if away => tracing::debug!(%error, "{what} still cannot be read"),
                Err(error) => {
                    away = true;
                    warn!(%error, "{what} cannot be read; those in memory stay valid");
                }
            }
            if self.known.load().version == version {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Makes memory as new as the database, now.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; memory stays as it is.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        let (version, value) = {
            let known = self.known.load();
            (known.version, Arc::clone(&known.value))
        };
        let newest = self.origin.version().await?;
        if newest <= version {
            return Ok(());
        }
        let newer = if self.origin.changed_since(version).await? {
            read(self.origin.as_ref()).await?
        } else {
            Known { version: newest, value }
        };
        let newer = Arc::new(newer);
        // Another may have read meanwhile: the newer one stays.
        self.known
            .rcu(|known| if known.version < newer.version { Arc::clone(&newer) } else { Arc::clone(known) });
        Ok(())
    }
}

/// The version is read before the value: a change between the two is read
/// again rather than missed.
async fn read<T>(origin: &dyn Origin<T>) -> Result<Known<T>, StoreError> {
    let version = origin.version().await?;
    let value = Arc::new(origin.read().await?);
    Ok(Known { version, value })
}
