//! API keys, without the keys: only their hashes are stored.

use trunkline_model::{
    ApiKey, KeyId, KeyOwner, PreviousSecret, ProfileName, TeamId, Timestamp, TokenHash, UserId,
};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO api_key (id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, \
     revoked_at, last_used_at, previous_hash, previous_until) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const LIST: &str = "SELECT id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, revoked_at, \
     last_used_at, previous_hash, previous_until FROM api_key ORDER BY created_at, id";
const FIND: &str = "SELECT id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, revoked_at, \
     last_used_at, previous_hash, previous_until FROM api_key WHERE id = $1";
const REVOKE: &str = "UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const ROTATE: &str = "UPDATE api_key SET previous_hash = hash, previous_until = $4, hash = $2, hint = $3 \
     WHERE id = $1 AND revoked_at IS NULL";
const USED: &str = "UPDATE api_key SET last_used_at = $2 WHERE id = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST, FIND, REVOKE, ROTATE, USED];

/// A row of `api_key`, by the names of its columns: it has too many for a tuple to tell them apart.
#[derive(Debug)]
struct Row {
    id: Uuid,
    name: String,
    hash: Vec<u8>,
    hint: String,
    profile: String,
    owner_user: Option<Uuid>,
    owner_team: Option<Uuid>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    previous_hash: Option<Vec<u8>>,
    previous_until: Option<i64>,
}

/// The repository of API keys.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a key, and tells every process that keys have changed.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the id or the hash is there already.
    pub async fn insert(self, key: &ApiKey) -> Result<(), StoreError> {
        let on = || StoreError::on("add an API key");
        let (user, team) = match key.owner {
            None => (None, None),
            Some(KeyOwner::User(id)) => (Some(id.as_uuid()), None),
            Some(KeyOwner::Team(id)) => (None, Some(id.as_uuid())),
        };
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(key.id.as_uuid())
                .bind(&key.name)
                .bind(key.hash.0.as_slice())
                .bind(&key.hint)
                .bind(key.profile.as_str())
                .bind(user)
                .bind(team)
                .bind(key.created_at.as_micros())
                .bind(key.expires_at.map(Timestamp::as_micros))
                .bind(key.revoked_at.map(Timestamp::as_micros))
                .bind(key.last_used_at.map(Timestamp::as_micros))
                .bind(key.previous.map(|previous| previous.hash.0.to_vec()))
                .bind(key.previous.map(|previous| previous.until.as_micros()))
                .execute(connection)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Keys).await.map_err(on())?;
        Ok(())
    }

    /// All keys, the revoked and expired ones too, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the API keys"))?;
        rows.into_iter().map(api_key).collect()
    }

    /// The key with this id, revoked or not; none when there never was one.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let row: Option<Row> =
            reading!(self.database, pool => sqlx::query_as(FIND).bind(id.as_uuid()).fetch_optional(pool).await)
                .map_err(StoreError::on("find an API key"))?;
        row.map(api_key).transpose()
    }

    /// Gives a key another secret; the one before it opens as much until
    /// `previous_until`. Tells every process. False when there is no such key
    /// or it is revoked.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn rotate(
        self,
        id: KeyId,
        hash: TokenHash,
        hint: &str,
        previous_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("rotate an API key");
        let mut work = self.database.begin().await.map_err(on())?;
        let rotated = within!(&mut work, connection => {
            sqlx::query(ROTATE)
                .bind(id.as_uuid())
                .bind(hash.0.as_slice())
                .bind(hint)
                .bind(previous_until.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if rotated > 0 {
            self.watcher.commit(work, Topic::Keys).await.map_err(on())?;
        }
        Ok(rotated > 0)
    }

    /// Writes when keys last opened something. No process needs to be told:
    /// nothing is decided by it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn used(self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let on = || StoreError::on("write when API keys were used");
        let mut work = self.database.begin().await.map_err(on())?;
        for (id, at) in uses {
            within!(&mut work, connection => {
                sqlx::query(USED)
                    .bind(id.as_uuid())
                    .bind(at.as_micros())
                    .execute(connection)
                    .await
                    .map_err(on())?;
            });
        }
        work.commit().await.map_err(on())
    }

    /// Revokes a key, and tells every process. False when there is no such
    /// key or it had been revoked before; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke(self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("revoke an API key");
        let mut work = self.database.begin().await.map_err(on())?;
        let revoked = within!(&mut work, connection => {
            sqlx::query(REVOKE)
                .bind(id.as_uuid())
                .bind(at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if revoked == 0 {
            return Ok(false);
        }
        self.watcher.commit(work, Topic::Keys).await.map_err(on())?;
        Ok(true)
    }
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
            name: row.try_get("name")?,
            hash: row.try_get("hash")?,
            hint: row.try_get("hint")?,
            profile: row.try_get("profile")?,
            owner_user: row.try_get("owner_user")?,
            owner_team: row.try_get("owner_team")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            revoked_at: row.try_get("revoked_at")?,
            last_used_at: row.try_get("last_used_at")?,
            previous_hash: row.try_get("previous_hash")?,
            previous_until: row.try_get("previous_until")?,
        })
    }
}

fn api_key(row: Row) -> Result<ApiKey, StoreError> {
    let id = KeyId::from_uuid(row.id);
    let damaged = |detail: &dyn std::fmt::Display| StoreError::Damaged {
        what: "an API key",
        detail: format!("{id}: {detail}"),
    };
    let hash =
        |bytes: Vec<u8>| bytes.try_into().map(TokenHash).map_err(|_| damaged(&"its hash has not 32 bytes"));
    let owner = match (row.owner_user, row.owner_team) {
        (None, None) => None,
        (Some(user), None) => Some(KeyOwner::User(UserId::from_uuid(user))),
        (None, Some(team)) => Some(KeyOwner::Team(TeamId::from_uuid(team))),
        (Some(_), Some(_)) => return Err(damaged(&"it has two owners")),
    };
    let previous = match (row.previous_hash, row.previous_until) {
        (Some(bytes), Some(until)) => {
            Some(PreviousSecret { hash: hash(bytes)?, until: Timestamp::from_micros(until) })
        }
        _ => None,
    };
    Ok(ApiKey {
        id,
        owner,
        name: row.name,
        hash: hash(row.hash)?,
        hint: row.hint,
        profile: ProfileName::new(&row.profile).map_err(|error| damaged(&error))?,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: row.expires_at.map(Timestamp::from_micros),
        revoked_at: row.revoked_at.map(Timestamp::from_micros),
        last_used_at: row.last_used_at.map(Timestamp::from_micros),
        previous,
    })
}
