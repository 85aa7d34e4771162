//! One of two databases, and where they really differ. Everything else in
//! this crate is one SQL for both: numbered parameters (`$1`), which SQLite
//! and PostgreSQL both take.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use trunkline_model::Secret;

use crate::faults::{Faults, FaultsOfWork};

/// How long a writer waits for another process's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 2;
/// SQLite's page cache, for each connection; negative: in KiB.
const SQLITE_CACHE: &str = "-2048";
/// Pages (4 KiB each) of the log that are folded into the database at once. A
/// page that is written often is then folded in seldom.
const SQLITE_CHECKPOINT: &str = "4000";
/// Prepared statements kept for each SQLite connection; more than there are.
const SQLITE_STATEMENTS: usize = 200;
const POSTGRES_CONNECTIONS: u32 = 10;
/// The channel of `NOTIFY`; its payload is the topic.
pub(crate) const NOTIFY_CHANNEL: &str = "trunkline_changes";
/// PostgreSQL's advisory lock that only one starting process holds.
const START_LOCK: i64 = 0x7472_756e_6b6c_696e;

/// A connected database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) pools: Pools,
    pub(crate) faults: Faults,
}

/// The connections to it.
#[derive(Debug)]
pub(crate) enum Pools {
    /// One connection writes, so that writes queue here and never meet
    /// `SQLITE_BUSY` from each other; some read beside it (WAL).
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// A unit of work: one transaction. Rolled back unless committed.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) transaction: Begun,
    pub(crate) faults: FaultsOfWork,
}

/// The transaction of a unit of work.
#[derive(Debug)]
pub(crate) enum Begun {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Evaluates one body on the pool that reads.
macro_rules! reading {
    ($database:expr, $pool:ident => $body:expr) => {
        match &$database.pools {
            $crate::database::Pools::Sqlite { readers, .. } => {
                let $pool = $database.faults.watch(readers);
                $body
            }
            $crate::database::Pools::Postgres(pool) => {
                let $pool = $database.faults.watch(pool);
                $body
            }
        }
    };
}

/// Evaluates one body on the connection of a unit of work.
macro_rules! within {
    ($work:expr, $connection:ident => $body:expr) => {
        match $crate::database::Work::parts($work) {
            (faults, $crate::database::Begun::Sqlite(transaction)) => {
                let $connection = faults.watch(&mut **transaction);
                $body
            }
            (faults, $crate::database::Begun::Postgres(transaction)) => {
                let $connection = faults.watch(&mut **transaction);
                $body
            }
        }
    };
}

pub(crate) use {reading, within};

impl Database {
    pub(crate) async fn open_sqlite(file: &Path) -> Result<Self, sqlx::Error> {
        let reading = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", SQLITE_CACHE)
            .pragma("temp_store", "MEMORY")
            .pragma("mmap_size", "0")
            .pragma("wal_autocheckpoint", SQLITE_CHECKPOINT)
            .statement_cache_capacity(SQLITE_STATEMENTS)
            .disable_statement_logging();
        let writing = reading.clone().journal_mode(SqliteJournalMode::Wal);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(BUSY_TIMEOUT + ACQUIRE_TIMEOUT)
            .connect_lazy_with(writing);
        open_in_turn(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(reading.pragma("query_only", "ON"));
        Ok(Self { pools: Pools::Sqlite { writer, readers }, faults: Faults::default() })
    }

    pub(crate) async fn open_postgres(url: &Secret) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url.expose())?
            .application_name("trunkline")
            .disable_statement_logging();
        // The pool takes a refused connection for a server that is starting,
        // and would in the end report only that it waited.
        options.connect().await?.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { pools: Pools::Postgres(pool), faults: Faults::default() })
    }

    /// Begins a unit of work that may write.
    pub(crate) async fn begin(&self) -> Result<Work, sqlx::Error> {
        let transaction = match &self.pools {
            // A transaction that starts as a reader cannot wait its turn to write.
            Pools::Sqlite { writer, .. } => Begun::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => Begun::Postgres(pool.begin().await?),
        };
        Ok(Work { transaction, faults: self.faults.of_work() })
    }

    /// Begins the unit of work in which a process migrates and claims the
    /// database; other processes that start at the same time wait.
    pub(crate) async fn begin_start(&self) -> Result<Work, sqlx::Error> {
        let mut work = self.begin().await?;
        if let Begun::Postgres(transaction) = &mut work.transaction {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(START_LOCK)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(work)
    }

    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                // The last connection to close folds the log into the database,
                // which a connection that may not write cannot do.
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Work {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.faults.commit()?;
        match self.transaction {
            Begun::Sqlite(transaction) => transaction.commit().await,
            Begun::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// For [`within!`].
    pub(crate) fn parts(&mut self) -> (&FaultsOfWork, &mut Begun) {
        (&self.faults, &mut self.transaction)
    }

    /// Wakes the other processes once this work commits. On SQLite they poll.
    pub(crate) async fn notify(&mut self, topic: &str) -> Result<(), sqlx::Error> {
        if let Begun::Postgres(transaction) = &mut self.transaction {
            sqlx::query("SELECT pg_notify($1, $2)")
                .bind(NOTIFY_CHANNEL)
                .bind(topic)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }
}

/// Opens the first connection. Turning on WAL needs the file alone and does
/// not wait for it, so when two processes start on a new file at the same
/// moment the second one tries again.
async fn open_in_turn(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut left = BUSY_TIMEOUT;
    loop {
        match writer.acquire().await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && left > PAUSE => {
                left -= PAUSE;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether SQLite said `SQLITE_BUSY` (5) in one of its extended forms.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 5)
}
