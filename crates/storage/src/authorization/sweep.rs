//! Removes what is over and tells nobody anything any more.

use trunkline_model::Timestamp;

use crate::database::{Database, within};
use crate::error::StoreError;

const CODES: &str = "DELETE FROM oauth_code WHERE expires_at < $1";
const DEVICES: &str = "DELETE FROM oauth_device WHERE expires_at < $1";
const ASSERTIONS: &str = "DELETE FROM oauth_used_assertion WHERE expires_at < $1";
const REFRESH_TOKENS: &str = "DELETE FROM oauth_refresh_token WHERE expires_at < $1";
const GRANTS: &str = "DELETE FROM oauth_grant WHERE expires_at < $1";
/// Only clients that made themselves known, and have nothing that is live.
const CLIENTS: &str = "DELETE FROM oauth_client WHERE kind <> 'registered' AND blocked_at IS NULL \
     AND created_at < $1 AND (used_at IS NULL OR used_at < $2) AND NOT EXISTS (SELECT 1 FROM oauth_grant \
     WHERE oauth_grant.client = oauth_client.id AND oauth_grant.revoked_at IS NULL)";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[CODES, DEVICES, ASSERTIONS, REFRESH_TOKENS, GRANTS, CLIENTS];

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub clients: u64,
    /// Codes, devices, assertions, refresh tokens and grants.
    pub other: u64,
}

/// Removes what ended before `over`, and clients that were not used since `unused`.
///
/// # Errors
/// [`StoreError::Database`].
pub(crate) async fn sweep(
    database: &Database,
    over: Timestamp,
    unused: Timestamp,
) -> Result<Swept, StoreError> {
    let on = || StoreError::on("remove what the authorization server needs no more");
    let mut swept = Swept::default();
    let mut work = database.begin().await.map_err(on())?;
    for sql in [CODES, DEVICES, ASSERTIONS, REFRESH_TOKENS, GRANTS] {
        swept.other += within!(&mut work, connection => {
            sqlx::query(sql).bind(over.as_micros()).execute(connection).await.map_err(on())?.rows_affected()
        });
    }
    swept.clients = within!(&mut work, connection => {
        sqlx::query(CLIENTS)
            .bind(unused.as_micros())
            .bind(unused.as_micros())
            .execute(connection)
            .await
            .map_err(on())?
            .rows_affected()
    });
    work.commit().await.map_err(on())?;
    Ok(swept)
}
