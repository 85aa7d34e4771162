//! The rows of the audit trail. What they mean, and how a chain is hashed,
//! `trunkline-profiles` knows.

use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use trunkline_model::Timestamp;
use uuid::Uuid;

use crate::database::{Database, Work, reading, within, writing};
use crate::error::StoreError;

const HEAD: &str = "SELECT seq, hash FROM audit_event WHERE chain = $1 ORDER BY seq DESC LIMIT 1";
const PAGE: &str = "SELECT seq, at, prev_hash, hash, payload FROM audit_event \
     WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const CHAINS: &str = "SELECT DISTINCT chain FROM audit_event ORDER BY chain";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[HEAD, PAGE, CHAINS];

/// Rows per statement, largest first. A fixed few, so that each statement is
/// prepared once on a connection; powers of two, so that few make any number.
const CHUNKS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];
const COLUMNS: usize = 6;

static INSERTS: LazyLock<[Arc<str>; CHUNKS.len()]> = LazyLock::new(|| CHUNKS.map(insert_of));

/// Number, time, hash before, hash, payload.
type PageRow = (i64, i64, Vec<u8>, Vec<u8>, String);

/// Runs one chunk's statement on a pool or a connection of either database.
macro_rules! insert_chunk {
    ($chunk:expr, $executor:expr) => {{
        let (sql, rows) = $chunk;
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        for row in rows {
            query = query
                .bind(row.chain)
                .bind(row.seq)
                .bind(row.at.as_micros())
                .bind(row.prev_hash.as_slice())
                .bind(row.hash.as_slice())
                .bind(row.payload.as_str());
        }
        query.execute($executor).await.map(drop)
    }};
}
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

/// The repository of audit rows. Nothing in it changes or deletes one.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    database: &'a Database,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Appends all of `rows` or none. They are durable against a killed
    /// process when this returns (against a power cut: at the database's next
    /// checkpoint on SQLite, at once on PostgreSQL).
    ///
    /// # Errors
    /// [`StoreError::Database`], also when a row with the same chain and
    /// number is there already.
    pub async fn append(self, rows: &[AuditRow]) -> Result<(), StoreError> {
        let on = || StoreError::on("append to the audit trail");
        let mut chunks = Chunks(rows);
        let Some(first) = chunks.next() else { return Ok(()) };
        if first.1.len() == rows.len() {
            // A single statement is a transaction by itself.
            return writing!(self.database, pool => insert_chunk!(first, pool)).map_err(on());
        }
        let mut work = self.database.begin().await.map_err(on())?;
        insert(&mut work, first).await.map_err(on())?;
        for chunk in chunks {
            insert(&mut work, chunk).await.map_err(on())?;
        }
        work.commit().await.map_err(on())
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

/// Splits rows into the largest chunks there is a statement for.
struct Chunks<'a>(&'a [AuditRow]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'static Arc<str>, &'a [AuditRow]);

    fn next(&mut self) -> Option<Self::Item> {
        let which = CHUNKS.iter().position(|size| *size <= self.0.len())?;
        let (chunk, rest) = self.0.split_at(CHUNKS[which]);
        self.0 = rest;
        Some((&INSERTS[which], chunk))
    }
}

async fn insert(work: &mut Work, chunk: (&'static Arc<str>, &[AuditRow])) -> Result<(), sqlx::Error> {
    within!(work, connection => insert_chunk!(chunk, connection))
}

/// The statement that inserts `rows` rows. Made of numbers only.
fn insert_of(rows: usize) -> Arc<str> {
    let mut sql = String::from("INSERT INTO audit_event (chain, seq, at, prev_hash, hash, payload) VALUES ");
    for row in 0..rows {
        let parameters: Vec<String> =
            (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
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

#[cfg(test)]
pub(crate) fn inserts() -> &'static [Arc<str>] {
    INSERTS.as_slice()
}
