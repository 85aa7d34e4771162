//! Keys that sign access tokens, each sealed by the vault.

use trunkline_model::Timestamp;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;
use crate::vault::Sealed;

const INSERT: &str = "INSERT INTO signing_key (generation, kid, public_key, sealed, created_at, active_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (generation) DO NOTHING";
const LIST: &str =
    "SELECT generation, kid, public_key, sealed, created_at, active_at FROM signing_key ORDER BY generation";
const DELETE: &str = "DELETE FROM signing_key WHERE generation <= $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST, DELETE];

type Row = (i64, String, Vec<u8>, String, i64, i64);

/// One key. The newest whose time has come signs; the others verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Counts from 1.
    pub generation: i64,
    /// RFC 7638 thumbprint.
    pub kid: String,
    pub public_key: [u8; 32],
    /// PKCS#8, sealed with the `kid` as associated data.
    pub sealed: Sealed,
    pub created_at: Timestamp,
    /// From then on it signs, until the next one does.
    pub active_at: Timestamp,
}

/// The repository of signing keys.
#[derive(Debug, Clone, Copy)]
pub struct SigningKeys<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> SigningKeys<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds the key of its generation, and tells every process. False when
    /// another process was first; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, key: &SigningKey) -> Result<bool, StoreError> {
        let on = || StoreError::on("add a signing key");
        let mut work = self.database.begin().await.map_err(on())?;
        let inserted = within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(key.generation)
                .bind(&key.kid)
                .bind(key.public_key.as_slice())
                .bind(key.sealed.to_string())
                .bind(key.created_at.as_micros())
                .bind(key.active_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if inserted == 0 {
            return Ok(false);
        }
        self.watcher.commit(work, Topic::SigningKeys).await.map_err(on())?;
        Ok(true)
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<SigningKey>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the signing keys"))?;
        rows.into_iter().map(signing_key).collect()
    }

    /// Removes every key up to this generation, and tells every process:
    /// nothing that they signed is good any more.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete_up_to(self, generation: i64) -> Result<(), StoreError> {
        let on = || StoreError::on("remove old signing keys");
        let mut work = self.database.begin().await.map_err(on())?;
        let deleted = within!(&mut work, connection => {
            sqlx::query(DELETE).bind(generation).execute(connection).await.map_err(on())?.rows_affected()
        });
        if deleted > 0 {
            self.watcher.commit(work, Topic::SigningKeys).await.map_err(on())?;
        }
        Ok(())
    }
}

fn signing_key(row: Row) -> Result<SigningKey, StoreError> {
    let (generation, kid, public_key, sealed, created_at, active_at) = row;
    let damaged =
        |detail: &str| StoreError::Damaged { what: "a signing key", detail: format!("{kid}: {detail}") };
    Ok(SigningKey {
        generation,
        public_key: public_key.try_into().map_err(|_| damaged("its public key has not 32 bytes"))?,
        sealed: sealed.parse().map_err(|_| damaged("it is not sealed"))?,
        kid,
        created_at: Timestamp::from_micros(created_at),
        active_at: Timestamp::from_micros(active_at),
    })
}
