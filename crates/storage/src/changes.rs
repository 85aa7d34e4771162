//! Which processes must look again: a counter that every change of keys or
//! configuration raises in its own transaction.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::database::{Database, NOTIFY_CHANNEL, Pools, Work, reading, within};
use crate::error::StoreError;

/// How often a process looks whether another one wrote to its SQLite file.
const POLL: Duration = Duration::from_millis(200);
/// How long after a failure PostgreSQL is asked again.
const RETRY: Duration = Duration::from_secs(1);

const VERSION: &str = "SELECT version FROM change_counter WHERE id = 1";
/// Holds the row until the end of the transaction: versions commit in order.
const RAISE: &str = "UPDATE change_counter SET version = version + 1 WHERE id = 1 RETURNING version";
const MARK: &str = "INSERT INTO change_topic (topic, version) VALUES ($1, $2) \
     ON CONFLICT (topic) DO UPDATE SET version = excluded.version";
const SINCE: &str = "SELECT topic FROM change_topic WHERE version > $1 ORDER BY version";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[VERSION, RAISE, MARK, SINCE];

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// API keys were added or revoked.
    Keys,
    /// Users, their teams, groups, roles or browser sessions changed.
    People,
    /// Something made in the console, or read from a file, took effect.
    Configuration,
    /// Grants of OAuth clients were revoked.
    Grants,
    /// A key that signs access tokens was added.
    SigningKeys,
    /// Connections to upstream servers, or the clients they stand on.
    Connections,
    /// What identity providers gave for people was kept, renewed or erased.
    Identities,
}

/// The counter of changes.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

/// Knows the newest version this process has heard of.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    heard: watch::Sender<i64>,
    /// PostgreSQL's notifications, once somebody waits for them.
    listener: std::sync::OnceLock<Listening>,
}

/// A task that listens until this is dropped.
#[derive(Debug)]
struct Listening(AbortHandle);

impl Topic {
    const ALL: [Self; 7] = [
        Self::Keys,
        Self::People,
        Self::Configuration,
        Self::Grants,
        Self::SigningKeys,
        Self::Connections,
        Self::Identities,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::People => "people",
            Self::Configuration => "configuration",
            Self::Grants => "grants",
            Self::SigningKeys => "signing_keys",
            Self::Connections => "connections",
            Self::Identities => "identities",
        }
    }
}

impl<'a> Changes<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// The number of changes so far, by all processes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn version(self) -> Result<i64, StoreError> {
        reading!(self.database, pool => sqlx::query_scalar(VERSION).fetch_one(pool).await)
            .map_err(StoreError::on("tell what changed"))
    }

    /// What has changed after `version`; topics of a newer program are left out.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn since(self, version: i64) -> Result<Vec<Topic>, StoreError> {
        let topics: Vec<String> =
            reading!(self.database, pool => sqlx::query_scalar(SINCE).bind(version).fetch_all(pool).await)
                .map_err(StoreError::on("tell what changed"))?;
        let known = |text: &String| Topic::ALL.into_iter().find(|topic| topic.as_str() == text);
        Ok(topics.iter().filter_map(known).collect())
    }

    /// Raises the counter by itself, for a change that is not in the database.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn announce(self, topic: Topic) -> Result<i64, StoreError> {
        let on = || StoreError::on("announce a change");
        let work = self.database.begin().await.map_err(on())?;
        self.watcher.commit(work, topic).await.map_err(on())
    }

    /// Returns the version as soon as it is greater than `version`: at once
    /// for a change of this process, within 200 ms for another process on
    /// SQLite, and on its notification with PostgreSQL. While the database is
    /// away it keeps waiting. Read [`Changes::version`] before what you keep
    /// from the database, and wait past that: then nothing is missed.
    pub async fn wait_past(self, version: i64) -> i64 {
        let mut heard = self.watcher.heard.subscribe();
        let listens = self.watcher.listen(self.database);
        loop {
            let newest = *heard.borrow_and_update();
            if newest > version {
                return newest;
            }
            if listens {
                // Its sender lives as long as `self`: an error cannot be.
                let _ = heard.changed().await;
                continue;
            }
            if let Ok(newest) = self.version().await {
                self.watcher.hear(newest);
            }
            if *heard.borrow() <= version {
                let _ = tokio::time::timeout(POLL, heard.changed()).await;
            }
        }
    }
}

impl Watcher {
    /// Raises the counter within `work`, commits, and tells this process.
    pub(crate) async fn commit(&self, work: Work, topic: Topic) -> Result<i64, sqlx::Error> {
        self.commit_on(work, &[topic]).await
    }

    /// As [`commit`](Self::commit), for work that concerns several topics.
    pub(crate) async fn commit_on(&self, mut work: Work, topics: &[Topic]) -> Result<i64, sqlx::Error> {
        let version: i64 =
            within!(&mut work, connection => sqlx::query_scalar(RAISE).fetch_one(connection).await)?;
        for topic in topics {
            within!(&mut work, connection => {
                sqlx::query(MARK).bind(topic.as_str()).bind(version).execute(connection).await?;
            });
            work.notify(topic.as_str()).await?;
        }
        work.commit().await?;
        self.hear(version);
        Ok(version)
    }

    fn hear(&self, version: i64) {
        hear(&self.heard, version);
    }

    /// Starts listening where the database can notify; false where it cannot.
    fn listen(&self, database: &Database) -> bool {
        let Pools::Postgres(pool) = &database.pools else { return false };
        self.listener
            .get_or_init(|| Listening(tokio::spawn(listen(pool.clone(), self.heard.clone())).abort_handle()));
        true
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn hear(heard: &watch::Sender<i64>, version: i64) {
    heard.send_if_modified(|newest| {
        let is_newer = version > *newest;
        *newest = version.max(*newest);
        is_newer
    });
}

/// Listens until the pool is closed. A lost connection is made again, and
/// what was missed meanwhile is read from the counter.
async fn listen(pool: PgPool, heard: watch::Sender<i64>) {
    while !pool.is_closed() {
        if let Err(error) = listen_once(&pool, &heard).await
            && !pool.is_closed()
        {
            tracing::warn!(%error, "lost the database's notifications; asking again in a second");
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn listen_once(pool: &PgPool, heard: &watch::Sender<i64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(NOTIFY_CHANNEL).await?;
    loop {
        // Read after listening: a change between the two is in one of them.
        hear(heard, sqlx::query_scalar(VERSION).fetch_one(pool).await?);
        // None says that the connection was lost and made again.
        listener.try_recv().await?;
    }
}
