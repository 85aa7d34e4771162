//! The rows of the audit trail. What they mean, and how a chain is hashed,
//! `trunkline-profiles` knows.

use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use trunkline_model::Timestamp;
use uuid::Uuid;

use crate::database::{Database, Pools, reading, within};
use crate::error::StoreError;

const HEAD: &str = "SELECT seq, hash FROM audit_event WHERE chain = $1 ORDER BY seq DESC LIMIT 1";
const PAGE: &str = "SELECT seq, at, prev_hash, hash, payload FROM audit_event \
     WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const CHAINS: &str = "SELECT DISTINCT chain FROM audit_event ORDER BY chain";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[HEAD, PAGE, CHAINS];

/// Rows for which a statement stands ready, largest first. A fixed few, so
/// that each is prepared once on a connection.
const SIZES: [usize; 4] = [64, 16, 4, 1];
const COLUMNS: usize = 6;

/// SQLite looks for a parameter's name in a list of all names, which takes as
/// long as the square of their number; without names it need not look. And it
/// keeps a journal of each statement so that a failed one alone can be undone:
/// here a failed one undoes its transaction, so `OR FAIL` spares that.
static FOR_SQLITE: LazyLock<[Arc<str>; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|rows| insert_of("INSERT OR FAIL", rows, |_| "?".to_owned())));
static FOR_POSTGRES: LazyLock<[Arc<str>; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|rows| insert_of("INSERT", rows, |number| format!("${number}"))));

/// Number, time, hash before, hash, payload.
type PageRow = (i64, i64, Vec<u8>, Vec<u8>, String);

/// One stored line of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// One process from start to end.
    pub chain: Uuid,
    /// From 1, without gaps.
    pub seq: i64,
    /// When the event's request arrived.
    pub at: Timestamp,
    /// The hash of the row before; zeros for the first.
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
    /// The event as JSON, in the very bytes that were hashed.
    pub payload: String,
}

/// The rows. They are appended, and nothing changes or deletes them.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    database: &'a Database,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Appends all of `rows` or none, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when a row with the same chain and
    /// number is there already.
    pub async fn append(self, rows: &[AuditRow]) -> Result<(), StoreError> {
        self.insert(rows).await.map_err(StoreError::on("append to the audit trail"))
    }

    async fn insert(self, mut rows: &[AuditRow]) -> Result<(), sqlx::Error> {
        let ready = inserts(self.database);
        let mut work = self.database.begin().await?;
        while let Some(which) = SIZES.iter().position(|size| *size <= rows.len()) {
            let (now, later) = rows.split_at(SIZES[which]);
            within!(&mut work, connection => {
                let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&ready[which])));
                for row in now {
                    query = query
                        .bind(row.chain)
                        .bind(row.seq)
                        .bind(row.at.as_micros())
                        .bind(row.prev_hash.as_slice())
                        .bind(row.hash.as_slice())
                        .bind(row.payload.as_str());
                }
                query.execute(connection).await.map(drop)
            })?;
            rows = later;
        }
        work.commit().await
    }

    /// The last number and hash of a chain; none when it has no rows.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn head(self, chain: Uuid) -> Result<Option<(i64, [u8; 32])>, StoreError> {
        let row: Option<(i64, Vec<u8>)> =
            reading!(self.database, pool => sqlx::query_as(HEAD).bind(chain).fetch_optional(pool).await)
                .map_err(StoreError::on("read the audit trail"))?;
        row.map(|(seq, hash)| Ok((seq, digest(chain, seq, hash)?))).transpose()
    }

    /// Up to `limit` rows of a chain after number `after_seq` (0 for the start), in order.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn page(self, chain: Uuid, after_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows: Vec<PageRow> = reading!(self.database, pool => {
            sqlx::query_as(PAGE).bind(chain).bind(after_seq).bind(i64::from(limit)).fetch_all(pool).await
        })
        .map_err(StoreError::on("read the audit trail"))?;
        rows.into_iter()
            .map(|(seq, at, prev_hash, hash, payload)| {
                Ok(AuditRow {
                    chain,
                    seq,
                    at: Timestamp::from_micros(at),
                    prev_hash: digest(chain, seq, prev_hash)?,
                    hash: digest(chain, seq, hash)?,
                    payload,
                })
            })
            .collect()
    }

    /// Every chain that has rows; ids of version 7 sort by start.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn chains(self) -> Result<Vec<Uuid>, StoreError> {
        reading!(self.database, pool => sqlx::query_scalar(CHAINS).fetch_all(pool).await)
            .map_err(StoreError::on("list the audit chains"))
    }
}

pub(crate) fn inserts(database: &Database) -> &'static [Arc<str>] {
    match database.pools {
        Pools::Sqlite { .. } => FOR_SQLITE.as_slice(),
        Pools::Postgres(_) => FOR_POSTGRES.as_slice(),
    }
}

/// The statement that inserts `rows` rows. Made of parameters only.
fn insert_of(verb: &str, rows: usize, parameter: impl Fn(usize) -> String) -> Arc<str> {
    let mut sql = format!("{verb} INTO audit_event (chain, seq, at, prev_hash, hash, payload) VALUES ");
    for row in 0..rows {
        let parameters: Vec<String> = (1..=COLUMNS).map(|column| parameter(row * COLUMNS + column)).collect();
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(&parameters.join(", "));
        sql.push(')');
    }
    sql.into()
}

fn digest(chain: Uuid, seq: i64, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged {
        what: "an audit row",
        detail: format!("number {seq} of chain {chain}: a hash has not 32 bytes"),
    })
}
