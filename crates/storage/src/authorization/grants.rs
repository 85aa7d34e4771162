//! What users granted clients.

use trunkline_model::{Grant, GrantFlow, GrantId, Timestamp, TokenTarget, UserId};
use uuid::Uuid;

use super::target;
use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO oauth_grant (id, user_id, client, profile, scope, flow, created_at, used_at, \
     expires_at, revoked_at, revoked_because) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const FIND: &str = "SELECT id, user_id, client, profile, scope, flow, created_at, used_at, expires_at, revoked_at, \
     revoked_because FROM oauth_grant WHERE id = $1";
const LIST: &str = "SELECT id, user_id, client, profile, scope, flow, created_at, used_at, expires_at, revoked_at, \
     revoked_because FROM oauth_grant ORDER BY created_at, id";
const STANDING: &str = "SELECT id, user_id, client, profile, scope, flow, created_at, used_at, expires_at, revoked_at, \
     revoked_because FROM oauth_grant WHERE user_id = $1 AND client = $2 AND profile = $3 AND flow = $4 \
     AND scope = $5 AND revoked_at IS NULL AND expires_at > $6 ORDER BY created_at DESC LIMIT 1";
const USE: &str =
    "UPDATE oauth_grant SET used_at = $2 WHERE id = $1 AND revoked_at IS NULL AND expires_at > $3";
const REVOKE: &str =
    "UPDATE oauth_grant SET revoked_at = $2, revoked_because = $3 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_OF_USER: &str = "UPDATE oauth_grant SET revoked_at = $2, revoked_because = $3 \
     WHERE user_id = $1 AND revoked_at IS NULL";
const REVOKED_SINCE: &str = "SELECT id FROM oauth_grant WHERE revoked_at >= $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, FIND, LIST, STANDING, USE, REVOKE, REVOKE_OF_USER, REVOKED_SINCE];

type Row = (Uuid, Uuid, String, String, String, String, i64, i64, i64, Option<i64>, Option<String>);

/// The repository of grants.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Grants<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a grant by itself, for flows without a code.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, grant: &Grant) -> Result<(), StoreError> {
        let on = || StoreError::on("add a grant");
        let mut work = self.database.begin().await.map_err(on())?;
        insert(&mut work, grant).await.map_err(on())?;
        work.commit().await.map_err(on())
    }

    /// The grant with this id, revoked or not.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(id.as_uuid()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a grant"))?;
        row.map(grant).transpose()
    }

    /// A live grant of this user, client, profile, flow and scope, the newest.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn standing(
        self,
        user: UserId,
        client: &str,
        target: &TokenTarget,
        (flow, scope): (GrantFlow, &str),
        now: Timestamp,
    ) -> Result<Option<Grant>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(STANDING)
                .bind(user.as_uuid())
                .bind(client)
                .bind(target.as_str())
                .bind(flow.as_str())
                .bind(scope)
                .bind(now.as_micros())
                .fetch_optional(pool)
                .await
        })
        .map_err(StoreError::on("find a grant"))?;
        row.map(grant).transpose()
    }

    /// All grants, also those that are over, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<Grant>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the grants"))?;
        rows.into_iter().map(grant).collect()
    }

    /// Notes that a token of the grant is issued at `now`. False when the
    /// grant is over: then none may be.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn mark_used(self, id: GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("note the use of a grant");
        let mut work = self.database.begin().await.map_err(on())?;
        let live = mark_used(&mut work, id, now).await.map_err(on())?;
        work.commit().await.map_err(on())?;
        Ok(live)
    }

    /// Revokes a grant, and tells every process. False when there is no such
    /// grant or it was revoked before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke(self, id: GrantId, at: Timestamp, because: &str) -> Result<bool, StoreError> {
        let on = || StoreError::on("revoke a grant");
        let mut work = self.database.begin().await.map_err(on())?;
        if !revoke(&mut work, id, at, because).await.map_err(on())? {
            return Ok(false);
        }
        self.watcher.commit(work, Topic::Grants).await.map_err(on())?;
        Ok(true)
    }

    /// Revokes every grant of a user, and tells every process. Says how many.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_of_user(self, user: UserId, at: Timestamp, because: &str) -> Result<u64, StoreError> {
        let on = || StoreError::on("revoke a user's grants");
        let mut work = self.database.begin().await.map_err(on())?;
        let revoked = within!(&mut work, connection => {
            sqlx::query(REVOKE_OF_USER)
                .bind(user.as_uuid())
                .bind(at.as_micros())
                .bind(because)
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if revoked > 0 {
            self.watcher.commit(work, Topic::Grants).await.map_err(on())?;
        }
        Ok(revoked)
    }

    /// The grants that were revoked at or after `since`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoked_since(self, since: Timestamp) -> Result<Vec<GrantId>, StoreError> {
        let ids: Vec<Uuid> = reading!(self.database, pool => {
            sqlx::query_scalar(REVOKED_SINCE).bind(since.as_micros()).fetch_all(pool).await
        })
        .map_err(StoreError::on("list the revoked grants"))?;
        Ok(ids.into_iter().map(GrantId::from_uuid).collect())
    }
}

pub(super) async fn insert(work: &mut Work, grant: &Grant) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(grant.id.as_uuid())
            .bind(grant.user.as_uuid())
            .bind(&grant.client)
            .bind(grant.target.as_str())
            .bind(&grant.scope)
            .bind(grant.flow.as_str())
            .bind(grant.created_at.as_micros())
            .bind(grant.used_at.as_micros())
            .bind(grant.expires_at.as_micros())
            .bind(grant.revoked_at.map(Timestamp::as_micros))
            .bind(&grant.revoked_because)
            .execute(connection)
            .await
            .map(drop)
    })
}

pub(super) async fn mark_used(work: &mut Work, id: GrantId, now: Timestamp) -> Result<bool, sqlx::Error> {
    let used = within!(work, connection => {
        sqlx::query(USE)
            .bind(id.as_uuid())
            .bind(now.as_micros())
            .bind(now.as_micros())
            .execute(connection)
            .await?
            .rows_affected()
    });
    Ok(used == 1)
}

pub(super) async fn revoke(
    work: &mut Work,
    id: GrantId,
    at: Timestamp,
    because: &str,
) -> Result<bool, sqlx::Error> {
    let revoked = within!(work, connection => {
        sqlx::query(REVOKE)
            .bind(id.as_uuid())
            .bind(at.as_micros())
            .bind(because)
            .execute(connection)
            .await?
            .rows_affected()
    });
    Ok(revoked == 1)
}

fn grant(row: Row) -> Result<Grant, StoreError> {
    const WHAT: &str = "a grant";
    let (id, user, client, target_name, scope, flow, created, used, expires, revoked, because) = row;
    Ok(Grant {
        id: GrantId::from_uuid(id),
        user: UserId::from_uuid(user),
        client,
        target: target(WHAT, &target_name)?,
        scope,
        flow: GrantFlow::named(&flow).ok_or_else(|| StoreError::Damaged {
            what: WHAT,
            detail: format!("{id}: its flow is unknown"),
        })?,
        created_at: Timestamp::from_micros(created),
        used_at: Timestamp::from_micros(used),
        expires_at: Timestamp::from_micros(expires),
        revoked_at: revoked.map(Timestamp::from_micros),
        revoked_because: because,
    })
}
