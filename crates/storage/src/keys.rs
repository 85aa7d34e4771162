//! API keys, without the keys: only their hashes are stored.

use trunkline_model::{ApiKey, KeyId, KeyOwner, ProfileName, TeamId, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO api_key (id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, revoked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LIST: &str = "SELECT id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, revoked_at \
     FROM api_key ORDER BY created_at, id";
const FIND: &str = "SELECT id, name, hash, hint, profile, owner_user, owner_team, created_at, expires_at, revoked_at \
     FROM api_key WHERE id = $1";
const REVOKE: &str = "UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST, FIND, REVOKE];

type Row = (Uuid, String, Vec<u8>, String, String, Option<Uuid>, Option<Uuid>, i64, Option<i64>, Option<i64>);

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

fn api_key(row: Row) -> Result<ApiKey, StoreError> {
    let (id, name, hash, hint, profile, user, team, created_at, expires_at, revoked_at) = row;
    let id = KeyId::from_uuid(id);
    let damaged = |detail: &dyn std::fmt::Display| StoreError::Damaged {
        what: "an API key",
        detail: format!("{id}: {detail}"),
    };
    let owner = match (user, team) {
        (None, None) => None,
        (Some(user), None) => Some(KeyOwner::User(UserId::from_uuid(user))),
        (None, Some(team)) => Some(KeyOwner::Team(TeamId::from_uuid(team))),
        (Some(_), Some(_)) => return Err(damaged(&"it has two owners")),
    };
    Ok(ApiKey {
        id,
        owner,
        name,
        hash: TokenHash(hash.try_into().map_err(|_| damaged(&"its hash has not 32 bytes"))?),
        hint,
        profile: ProfileName::new(&profile).map_err(|error| damaged(&error))?,
        created_at: Timestamp::from_micros(created_at),
        expires_at: expires_at.map(Timestamp::from_micros),
        revoked_at: revoked_at.map(Timestamp::from_micros),
    })
}
