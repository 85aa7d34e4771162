//! Refresh tokens: each is used once, and the next one takes its place.

use std::time::Duration;

use trunkline_model::{GrantId, Timestamp, TokenHash};
use uuid::Uuid;

use super::grants;
use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO oauth_refresh_token (hash, grant_id, parent, created_at, expires_at, used_at) \
     VALUES ($1, $2, $3, $4, $5, NULL)";
const FIND: &str =
    "SELECT grant_id, parent, created_at, expires_at, used_at FROM oauth_refresh_token WHERE hash = $1";
const TAKE: &str = "UPDATE oauth_refresh_token SET used_at = $2 WHERE hash = $1 AND used_at IS NULL";
const USED_AT: &str = "SELECT used_at FROM oauth_refresh_token WHERE hash = $1";
const CHILDREN: &str = "SELECT COUNT(*), COUNT(used_at) FROM oauth_refresh_token WHERE parent = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, TAKE, USED_AT, CHILDREN];

/// How often one token is answered again: a client that loses more answers
/// than this is not what it seems.
const MOST_CHILDREN: i64 = 5;

type Row = (Uuid, Option<Vec<u8>>, i64, i64, Option<i64>);

/// A refresh token, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub hash: TokenHash,
    pub grant: GrantId,
    /// The token that this one replaced.
    pub parent: Option<TokenHash>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// What became of a token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The next token takes its place.
    Rotated,
    /// It had been used a moment ago and its answer seems lost: one more
    /// token takes its place.
    Repeated,
    /// It had been used before: whoever holds it or the next one is not who
    /// they should be. The grant is revoked.
    Reused,
    /// Its grant is over.
    GrantOver,
}

/// The repository of refresh tokens.
#[derive(Debug, Clone, Copy)]
pub struct RefreshTokens<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> RefreshTokens<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds the first token of a grant that has none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, token: &RefreshToken) -> Result<(), StoreError> {
        let on = || StoreError::on("add a refresh token");
        let mut work = self.database.begin().await.map_err(on())?;
        insert(&mut work, token).await.map_err(on())?;
        work.commit().await.map_err(on())
    }

    /// The token with this hash, used or not.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, hash: &TokenHash) -> Result<Option<RefreshToken>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(hash.0.as_slice()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a refresh token"))?;
        row.map(|row| refresh_token(*hash, row)).transpose()
    }

    /// Puts `next` in the place of its parent, in one unit of work. A parent
    /// that was used longer than `grace` ago, or whose successor has been
    /// used, revokes the grant instead, and every process is told.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn rotate(
        self,
        parent: &TokenHash,
        next: &RefreshToken,
        grace: Duration,
    ) -> Result<Rotation, StoreError> {
        let on = || StoreError::on("rotate a refresh token");
        let now = next.created_at;
        let mut work = self.database.begin().await.map_err(on())?;
        // Locks the grant: what revokes it comes before or after, never between.
        if !grants::mark_used(&mut work, next.grant, now).await.map_err(on())? {
            return Ok(Rotation::GrantOver);
        }
        let rotation = take(&mut work, parent, now, grace).await.map_err(on())?;
        if rotation == Rotation::Reused {
            let because = "a refresh token was used twice";
            grants::revoke(&mut work, next.grant, now, because).await.map_err(on())?;
            self.watcher.commit(work, Topic::Grants).await.map_err(on())?;
            return Ok(rotation);
        }
        insert(&mut work, next).await.map_err(on())?;
        work.commit().await.map_err(on())?;
        Ok(rotation)
    }
}

async fn take(
    work: &mut Work,
    parent: &TokenHash,
    now: Timestamp,
    grace: Duration,
) -> Result<Rotation, sqlx::Error> {
    let hash = parent.0.as_slice();
    let taken = within!(work, connection => {
        sqlx::query(TAKE).bind(hash).bind(now.as_micros()).execute(connection).await?.rows_affected()
    });
    if taken == 1 {
        return Ok(Rotation::Rotated);
    }
    let used_at: Option<Option<i64>> = within!(work, connection => {
        sqlx::query_scalar(USED_AT).bind(hash).fetch_optional(connection).await?
    });
    let (children, used_children): (i64, i64) = within!(work, connection => {
        sqlx::query_as(CHILDREN).bind(hash).fetch_one(connection).await?
    });
    let lately = used_at.flatten().is_some_and(|at| now.since(Timestamp::from_micros(at)) <= grace);
    let is_lost_answer = lately && used_children == 0 && children < MOST_CHILDREN;
    Ok(if is_lost_answer { Rotation::Repeated } else { Rotation::Reused })
}

pub(super) async fn insert(work: &mut Work, token: &RefreshToken) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(token.hash.0.as_slice())
            .bind(token.grant.as_uuid())
            .bind(token.parent.map(|hash| hash.0.to_vec()))
            .bind(token.created_at.as_micros())
            .bind(token.expires_at.as_micros())
            .execute(connection)
            .await
            .map(drop)
    })
}

fn refresh_token(hash: TokenHash, row: Row) -> Result<RefreshToken, StoreError> {
    let (grant, parent, created, expires, used) = row;
    Ok(RefreshToken {
        hash,
        grant: GrantId::from_uuid(grant),
        parent: parent.map(|bytes| super::hash("a refresh token", bytes)).transpose()?,
        created_at: Timestamp::from_micros(created),
        expires_at: Timestamp::from_micros(expires),
        used_at: used.map(Timestamp::from_micros),
    })
}
