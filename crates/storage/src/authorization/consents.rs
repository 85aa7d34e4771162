//! What a user has allowed a client, so that the same question is not asked again.

use trunkline_model::{Timestamp, TokenTarget, UserId};

use crate::database::{Database, reading, within};
use crate::error::StoreError;

const REMEMBER: &str = "INSERT INTO oauth_consent (user_id, client, redirect_uri, profile, scope, given_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, client, redirect_uri, profile) \
     DO UPDATE SET scope = excluded.scope, given_at = excluded.given_at";
const FIND: &str = "SELECT scope FROM oauth_consent \
     WHERE user_id = $1 AND client = $2 AND redirect_uri = $3 AND profile = $4";
const FORGET: &str = "DELETE FROM oauth_consent WHERE user_id = $1 AND client = $2 AND profile = $3";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[REMEMBER, FIND, FORGET];

/// One consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub user: UserId,
    pub client: String,
    /// The registered form, so that a loopback port makes no difference.
    pub redirect_uri: String,
    pub target: TokenTarget,
    pub scope: String,
    pub given_at: Timestamp,
}

/// The repository of consents.
#[derive(Debug, Clone, Copy)]
pub struct Consents<'a> {
    database: &'a Database,
}

impl<'a> Consents<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Remembers a consent in place of an older one.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn remember(self, consent: &Consent) -> Result<(), StoreError> {
        let on = || StoreError::on("remember a consent");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(REMEMBER)
                .bind(consent.user.as_uuid())
                .bind(&consent.client)
                .bind(&consent.redirect_uri)
                .bind(consent.target.as_str())
                .bind(&consent.scope)
                .bind(consent.given_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }

    /// The scope of the remembered consent; none when there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn scope(
        self,
        user: UserId,
        client: &str,
        redirect_uri: &str,
        target: &TokenTarget,
    ) -> Result<Option<String>, StoreError> {
        reading!(self.database, pool => {
            sqlx::query_scalar(FIND)
                .bind(user.as_uuid())
                .bind(client)
                .bind(redirect_uri)
                .bind(target.as_str())
                .fetch_optional(pool)
                .await
        })
        .map_err(StoreError::on("find a consent"))
    }

    /// Forgets what a user allowed a client in a profile, whatever the redirect.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn forget(self, user: UserId, client: &str, target: &TokenTarget) -> Result<(), StoreError> {
        let on = || StoreError::on("forget a consent");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(FORGET)
                .bind(user.as_uuid())
                .bind(client)
                .bind(target.as_str())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }
}
