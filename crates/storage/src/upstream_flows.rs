//! Consents at upstream servers that have begun: taken once, gone after their time.

use trunkline_model::Timestamp;

use crate::database::{Database, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO upstream_flow (hash, sealed, expires_at) VALUES ($1, $2, $3)";
const FIND: &str = "SELECT sealed FROM upstream_flow WHERE hash = $1 AND expires_at > $2";
const DELETE: &str = "DELETE FROM upstream_flow WHERE hash = $1";
const SWEEP: &str = "DELETE FROM upstream_flow WHERE expires_at <= $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, DELETE, SWEEP];

/// The repository of begun consents.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamFlows<'a> {
    database: &'a Database,
}

impl<'a> UpstreamFlows<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Stores one under the hash of its secret, and forgets those whose time is over.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(
        self,
        hash: [u8; 32],
        sealed: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("begin a consent");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(SWEEP).bind(now.as_micros()).execute(open).await.map_err(on())?;
        });
        within!(&mut work, open => {
            sqlx::query(INSERT)
                .bind(hash.as_slice())
                .bind(sealed)
                .bind(expires_at.as_micros())
                .execute(open)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }

    /// Takes one out; none when there is none, or no longer.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn take(self, hash: [u8; 32], now: Timestamp) -> Result<Option<String>, StoreError> {
        let on = || StoreError::on("take a begun consent");
        let mut work = self.database.begin().await.map_err(on())?;
        let sealed: Option<String> = within!(&mut work, open => {
            sqlx::query_scalar(FIND)
                .bind(hash.as_slice())
                .bind(now.as_micros())
                .fetch_optional(open)
                .await
                .map_err(on())?
        });
        // Of two who take it at the same time, one alone removes it.
        let removed = within!(&mut work, open => {
            sqlx::query(DELETE).bind(hash.as_slice()).execute(open).await.map_err(on())?.rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(sealed.filter(|_| removed == 1))
    }
}
