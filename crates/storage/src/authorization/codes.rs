//! Authorization codes: each is good once, for a minute.

use trunkline_model::{Grant, GrantId, Timestamp, TokenHash, TokenTarget, UserId};
use uuid::Uuid;

use super::refresh::{self, RefreshToken};
use super::{grants, target};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO oauth_code (hash, grant_id, user_id, client, profile, scope, redirect_uri, \
     challenge, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)";
const FIND: &str = "SELECT grant_id, user_id, client, profile, scope, redirect_uri, challenge, expires_at, used_at \
     FROM oauth_code WHERE hash = $1";
const TAKE: &str = "UPDATE oauth_code SET used_at = $2 WHERE hash = $1 AND used_at IS NULL";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, TAKE];

type Row = (Uuid, Uuid, String, String, String, String, String, i64, Option<i64>);

/// A code, and everything that its redemption must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    pub hash: TokenHash,
    /// The grant that its redemption makes.
    pub grant: GrantId,
    pub user: UserId,
    pub client: String,
    pub target: TokenTarget,
    pub scope: String,
    /// As it stood in the authorization request.
    pub redirect_uri: String,
    /// The S256 code challenge (RFC 7636).
    pub challenge: String,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// The repository of authorization codes.
#[derive(Debug, Clone, Copy)]
pub struct Codes<'a> {
    database: &'a Database,
}

impl<'a> Codes<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Adds an unused code.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, code: &AuthorizationCode) -> Result<(), StoreError> {
        let on = || StoreError::on("add an authorization code");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(code.hash.0.as_slice())
                .bind(code.grant.as_uuid())
                .bind(code.user.as_uuid())
                .bind(&code.client)
                .bind(code.target.as_str())
                .bind(&code.scope)
                .bind(&code.redirect_uri)
                .bind(&code.challenge)
                .bind(code.expires_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }

    /// The code with this hash, used or not.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, hash: &TokenHash) -> Result<Option<AuthorizationCode>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(hash.0.as_slice()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find an authorization code"))?;
        row.map(|row| code(*hash, row)).transpose()
    }

    /// Uses the code up and makes its grant, with a first refresh token where
    /// there is one. False when the code had been used; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn redeem(
        self,
        hash: &TokenHash,
        grant: &Grant,
        refresh: Option<&RefreshToken>,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("redeem an authorization code");
        let mut work = self.database.begin().await.map_err(on())?;
        let taken = within!(&mut work, connection => {
            sqlx::query(TAKE)
                .bind(hash.0.as_slice())
                .bind(grant.created_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if taken == 0 {
            return Ok(false);
        }
        grants::insert(&mut work, grant).await.map_err(on())?;
        if let Some(refresh) = refresh {
            refresh::insert(&mut work, refresh).await.map_err(on())?;
        }
        work.commit().await.map_err(on())?;
        Ok(true)
    }
}

fn code(hash: TokenHash, row: Row) -> Result<AuthorizationCode, StoreError> {
    let (grant, user, client, target_name, scope, redirect_uri, challenge, expires, used) = row;
    Ok(AuthorizationCode {
        hash,
        grant: GrantId::from_uuid(grant),
        user: UserId::from_uuid(user),
        client,
        target: target("an authorization code", &target_name)?,
        scope,
        redirect_uri,
        challenge,
        expires_at: Timestamp::from_micros(expires),
        used_at: used.map(Timestamp::from_micros),
    })
}
