//! Assertions of others that have been used: each is good once.

use trunkline_model::{Timestamp, TokenHash};

use crate::database::{Database, within};
use crate::error::StoreError;

const REMEMBER: &str =
    "INSERT INTO oauth_used_assertion (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[REMEMBER];

/// The repository of used assertions.
#[derive(Debug, Clone, Copy)]
pub struct UsedAssertions<'a> {
    database: &'a Database,
}

impl<'a> UsedAssertions<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Uses up the assertion with this hash (of issuer and `jti`). False when
    /// it had been used.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn use_up(self, hash: &TokenHash, expires_at: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("note the use of an assertion");
        let mut work = self.database.begin().await.map_err(on())?;
        let inserted = within!(&mut work, connection => {
            sqlx::query(REMEMBER)
                .bind(hash.0.as_slice())
                .bind(expires_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(inserted == 1)
    }
}
