//! OAuth clients, without their secrets: only hashes are stored.

use trunkline_model::{ClientKind, OauthClient, PreviousSecret, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use super::hash;
use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;

const COLUMNS_FROM: &str = "SELECT id, kind, name, metadata, secret_hash, registration_hash, service_user, \
     registered_from, created_at, used_at, blocked_at, previous_secret_hash, previous_secret_until, secret_at \
     FROM oauth_client WHERE id = $1";
const LIST: &str = "SELECT id, kind, name, metadata, secret_hash, registration_hash, service_user, \
     registered_from, created_at, used_at, blocked_at, previous_secret_hash, previous_secret_until, secret_at \
     FROM oauth_client ORDER BY created_at, id";
const INSERT: &str = "INSERT INTO oauth_client (id, kind, name, metadata, secret_hash, registration_hash, \
     service_user, registered_from, created_at, used_at, blocked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING";
const UPDATE: &str = "UPDATE oauth_client SET name = $2, metadata = $3, secret_hash = $4, registration_hash = $5, \
     previous_secret_hash = $6, previous_secret_until = $7 WHERE id = $1";
const ROTATE: &str = "UPDATE oauth_client SET previous_secret_hash = secret_hash, previous_secret_until = $3, \
     secret_hash = $2, secret_at = $4 WHERE id = $1 AND secret_hash IS NOT NULL AND blocked_at IS NULL";
const USED: &str = "UPDATE oauth_client SET used_at = $2 WHERE id = $1";
const BLOCK: &str = "UPDATE oauth_client SET blocked_at = $2 WHERE id = $1 AND blocked_at IS NULL";
const UNBLOCK: &str = "UPDATE oauth_client SET blocked_at = NULL WHERE id = $1 AND blocked_at IS NOT NULL";
const DELETE: &str = "DELETE FROM oauth_client WHERE id = $1";
const FORGET_CONSENT: &str = "DELETE FROM oauth_consent WHERE client = $1";
const REVOKE_GRANTS: &str = "UPDATE oauth_grant SET revoked_at = $2, revoked_because = $3 \
     WHERE client = $1 AND revoked_at IS NULL";
const COUNT: &str = "SELECT COUNT(*) FROM oauth_client WHERE kind = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    COLUMNS_FROM,
    LIST,
    INSERT,
    UPDATE,
    ROTATE,
    USED,
    BLOCK,
    UNBLOCK,
    DELETE,
    FORGET_CONSENT,
    REVOKE_GRANTS,
    COUNT,
];

#[derive(Debug)]
struct Row {
    id: String,
    kind: String,
    name: String,
    metadata: String,
    secret_hash: Option<Vec<u8>>,
    registration_hash: Option<Vec<u8>>,
    service_user: Option<Uuid>,
    registered_from: String,
    created_at: i64,
    used_at: Option<i64>,
    blocked_at: Option<i64>,
    previous_secret_hash: Option<Vec<u8>>,
    previous_secret_until: Option<i64>,
    secret_at: Option<i64>,
}

impl<'r, R> sqlx::FromRow<'r, R> for Row
where
    R: sqlx::Row,
    &'static str: sqlx::ColumnIndex<R>,
    Uuid: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            name: row.try_get("name")?,
            metadata: row.try_get("metadata")?,
            secret_hash: row.try_get("secret_hash")?,
            registration_hash: row.try_get("registration_hash")?,
            service_user: row.try_get("service_user")?,
            registered_from: row.try_get("registered_from")?,
            created_at: row.try_get("created_at")?,
            used_at: row.try_get("used_at")?,
            blocked_at: row.try_get("blocked_at")?,
            previous_secret_hash: row.try_get("previous_secret_hash")?,
            previous_secret_until: row.try_get("previous_secret_until")?,
            secret_at: row.try_get("secret_at")?,
        })
    }
}

/// The repository of OAuth clients.
#[derive(Debug, Clone, Copy)]
pub struct Clients<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a client. False when there is one with that id; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, client: &OauthClient) -> Result<bool, StoreError> {
        let on = || StoreError::on("add an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        let inserted = within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(&client.id)
                .bind(client.kind.as_str())
                .bind(&client.name)
                .bind(&client.metadata)
                .bind(client.secret_hash.map(|hash| hash.0.to_vec()))
                .bind(client.registration_hash.map(|hash| hash.0.to_vec()))
                .bind(client.service_user.map(UserId::as_uuid))
                .bind(&client.registered_from)
                .bind(client.created_at.as_micros())
                .bind(client.used_at.map(Timestamp::as_micros))
                .bind(client.blocked_at.map(Timestamp::as_micros))
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(inserted == 1)
    }

    /// The client with this id; none when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, id: &str) -> Result<Option<OauthClient>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(COLUMNS_FROM).bind(id).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find an OAuth client"))?;
        row.map(oauth_client).transpose()
    }

    /// All clients, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<OauthClient>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the OAuth clients"))?;
        rows.into_iter().map(oauth_client).collect()
    }

    /// How many clients of a kind there are.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn count(self, kind: ClientKind) -> Result<u64, StoreError> {
        let count: i64 = reading!(self.database, pool => {
            sqlx::query_scalar(COUNT).bind(kind.as_str()).fetch_one(pool).await
        })
        .map_err(StoreError::on("count the OAuth clients"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Replaces name, metadata and hashes. False when there is no such client.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn update(self, client: &OauthClient) -> Result<bool, StoreError> {
        let on = || StoreError::on("change an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        let updated = within!(&mut work, connection => {
            sqlx::query(UPDATE)
                .bind(&client.id)
                .bind(&client.name)
                .bind(&client.metadata)
                .bind(client.secret_hash.map(|hash| hash.0.to_vec()))
                .bind(client.registration_hash.map(|hash| hash.0.to_vec()))
                .bind(client.previous_secret.map(|previous| previous.hash.0.to_vec()))
                .bind(client.previous_secret.map(|previous| previous.until.as_micros()))
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(updated == 1)
    }

    /// Gives a client another secret; the one before stays good until
    /// `previous_until`. False when it is not there, has none, or is blocked.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn rotate_secret(
        self,
        id: &str,
        secret: TokenHash,
        previous_until: Timestamp,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("rotate the secret of an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        let rotated = within!(&mut work, connection => {
            sqlx::query(ROTATE)
                .bind(id)
                .bind(secret.0.to_vec())
                .bind(previous_until.as_micros())
                .bind(at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(rotated == 1)
    }

    /// Notes that the client got a token.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn used(self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.set_time(USED, id, at, "note the use of an OAuth client").await.map(drop)
    }

    /// Lets a blocked client in again. False when it is not blocked.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn unblock(self, id: &str) -> Result<bool, StoreError> {
        let on = || StoreError::on("unblock an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        let changed = execute(&mut work, UNBLOCK, id).await.map_err(on())?;
        work.commit().await.map_err(on())?;
        Ok(changed == 1)
    }

    /// Blocks a client and revokes every grant of it, and tells every
    /// process. False when there is no such client or it was blocked before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn block(self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("block an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        let blocked = within!(&mut work, connection => {
            sqlx::query(BLOCK).bind(id).bind(at.as_micros()).execute(connection).await.map_err(on())?.rows_affected()
        });
        if blocked == 0 {
            return Ok(false);
        }
        revoke_grants(&mut work, id, at, "the client was blocked").await.map_err(on())?;
        self.watcher.commit(work, Topic::Grants).await.map_err(on())?;
        Ok(true)
    }

    /// Deletes a client, forgets every consent to it and revokes every grant,
    /// and tells every process. False when there is no such client.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete(self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("delete an OAuth client");
        let mut work = self.database.begin().await.map_err(on())?;
        if execute(&mut work, DELETE, id).await.map_err(on())? == 0 {
            return Ok(false);
        }
        execute(&mut work, FORGET_CONSENT, id).await.map_err(on())?;
        revoke_grants(&mut work, id, at, "the client was deleted").await.map_err(on())?;
        self.watcher.commit(work, Topic::Grants).await.map_err(on())?;
        Ok(true)
    }

    async fn set_time(
        self,
        sql: &'static str,
        id: &str,
        at: Timestamp,
        operation: &'static str,
    ) -> Result<u64, StoreError> {
        let on = || StoreError::on(operation);
        let mut work = self.database.begin().await.map_err(on())?;
        let changed = within!(&mut work, connection => {
            sqlx::query(sql).bind(id).bind(at.as_micros()).execute(connection).await.map_err(on())?.rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(changed)
    }
}

async fn execute(work: &mut Work, sql: &'static str, id: &str) -> Result<u64, sqlx::Error> {
    within!(work, connection => {
        Ok(sqlx::query(sql).bind(id).execute(connection).await?.rows_affected())
    })
}

async fn revoke_grants(
    work: &mut Work,
    client: &str,
    at: Timestamp,
    because: &'static str,
) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(REVOKE_GRANTS)
            .bind(client)
            .bind(at.as_micros())
            .bind(because)
            .execute(connection)
            .await
            .map(drop)
    })
}

fn oauth_client(row: Row) -> Result<OauthClient, StoreError> {
    const WHAT: &str = "an OAuth client";
    let some_hash = |bytes: Option<Vec<u8>>| -> Result<Option<TokenHash>, StoreError> {
        bytes.map(|bytes| hash(WHAT, bytes)).transpose()
    };
    let previous_secret = match (some_hash(row.previous_secret_hash)?, row.previous_secret_until) {
        (Some(hash), Some(until)) => Some(PreviousSecret { hash, until: Timestamp::from_micros(until) }),
        _ => None,
    };
    Ok(OauthClient {
        kind: ClientKind::named(&row.kind).ok_or_else(|| StoreError::Damaged {
            what: WHAT,
            detail: format!("{}: its kind is unknown", row.id),
        })?,
        id: row.id,
        name: row.name,
        metadata: row.metadata,
        secret_hash: some_hash(row.secret_hash)?,
        previous_secret,
        secret_at: row.secret_at.map(Timestamp::from_micros),
        registration_hash: some_hash(row.registration_hash)?,
        service_user: row.service_user.map(UserId::from_uuid),
        registered_from: row.registered_from,
        created_at: Timestamp::from_micros(row.created_at),
        used_at: row.used_at.map(Timestamp::from_micros),
        blocked_at: row.blocked_at.map(Timestamp::from_micros),
    })
}
