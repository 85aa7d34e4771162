//! What a directory provisions (SCIM): groups with their members, attributes
//! of users, and the token it proves itself with.

use trunkline_model::{Timestamp, TokenHash, User, UserId};
use uuid::Uuid;

use super::Users;
use super::identity::{self, Identity};
use crate::changes::Topic;
use crate::database::{Work, reading, within};
use crate::error::StoreError;

/// The source of memberships.
const SOURCE: &str = "scim";

const GROUPS: &str = "SELECT id, name, external_id, created_at FROM directory_group ORDER BY name";
const MEMBERS: &str = "SELECT name, user_id FROM user_group WHERE source = 'scim' ORDER BY name, user_id";
const NAME_OF_ANOTHER: &str = "SELECT COUNT(*) FROM directory_group WHERE name = $1 AND id <> $2";
const OLD_NAME: &str = "SELECT name FROM directory_group WHERE id = $1";
const INSERT: &str =
    "INSERT INTO directory_group (id, name, external_id, created_at) VALUES ($1, $2, $3, $4)";
const UPDATE: &str = "UPDATE directory_group SET name = $2, external_id = $3 WHERE id = $1";
const DELETE: &str = "DELETE FROM directory_group WHERE id = $1";
const EMPTY: &str = "DELETE FROM user_group WHERE source = $1 AND name = $2";
const JOIN: &str = "INSERT INTO user_group (user_id, source, name) VALUES ($1, $2, $3)";
const ATTRIBUTES: &str = "SELECT attributes FROM user_account WHERE id = $1";
const ALL_ATTRIBUTES: &str = "SELECT id, attributes FROM user_account WHERE attributes IS NOT NULL";
const SET_ATTRIBUTES: &str = "UPDATE user_account SET attributes = $2 WHERE id = $1";
const TOKENS: &str = "SELECT hash FROM directory_token";
const FORGET_TOKENS: &str = "DELETE FROM directory_token";
const INSERT_TOKEN: &str = "INSERT INTO directory_token (hash, created_at) VALUES ($1, $2)";
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    GROUPS,
    MEMBERS,
    NAME_OF_ANOTHER,
    OLD_NAME,
    INSERT,
    UPDATE,
    DELETE,
    EMPTY,
    JOIN,
    ATTRIBUTES,
    ALL_ATTRIBUTES,
    SET_ATTRIBUTES,
    TOKENS,
    FORGET_TOKENS,
    INSERT_TOKEN,
];

/// A group that a directory provisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGroup {
    pub id: Uuid,
    /// Unique; what profiles name it by.
    pub name: String,
    /// What the directory calls it.
    pub external_id: Option<String>,
    pub created_at: Timestamp,
    pub members: Vec<UserId>,
}

impl Users<'_> {
    /// Every group of the directory with its members, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn directory_groups(self) -> Result<Vec<DirectoryGroup>, StoreError> {
        let on = || StoreError::on("list the directory's groups");
        let rows: Vec<(Uuid, String, Option<String>, i64)> =
            reading!(self.database, pool => sqlx::query_as(GROUPS).fetch_all(pool).await).map_err(on())?;
        let members: Vec<(String, Uuid)> =
            reading!(self.database, pool => sqlx::query_as(MEMBERS).fetch_all(pool).await).map_err(on())?;
        let of = |group: &str| {
            members.iter().filter(|(name, _)| name == group).map(|(_, id)| UserId::from_uuid(*id)).collect()
        };
        Ok(rows
            .into_iter()
            .map(|(id, name, external_id, created_at)| DirectoryGroup {
                members: of(&name),
                id,
                name,
                external_id,
                created_at: Timestamp::from_micros(created_at),
            })
            .collect())
    }

    /// Adds or replaces a group with its members, and tells every process.
    /// False when another group has the name; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when a member is no user.
    pub async fn put_directory_group(self, group: &DirectoryGroup) -> Result<bool, StoreError> {
        let on = || StoreError::on("write a group of the directory");
        let mut work = self.database.begin().await.map_err(on())?;
        super::change::take_turn(&mut work).await.map_err(on())?;
        let others: i64 = within!(&mut work, connection => {
            sqlx::query_scalar(NAME_OF_ANOTHER)
                .bind(&group.name)
                .bind(group.id)
                .fetch_one(connection)
                .await
                .map_err(on())?
        });
        if others > 0 {
            return Ok(false);
        }
        let old: Option<String> = within!(&mut work, connection => {
            sqlx::query_scalar(OLD_NAME).bind(group.id).fetch_optional(connection).await.map_err(on())?
        });
        write(&mut work, group, old.as_deref()).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// Deletes a group, and tells every process; false when there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete_directory_group(self, id: Uuid) -> Result<bool, StoreError> {
        let on = || StoreError::on("delete a group of the directory");
        let mut work = self.database.begin().await.map_err(on())?;
        let name: Option<String> = within!(&mut work, connection => {
            sqlx::query_scalar(OLD_NAME).bind(id).fetch_optional(connection).await.map_err(on())?
        });
        let Some(name) = name else { return Ok(false) };
        empty(&mut work, &name).await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(DELETE).bind(id).execute(connection).await.map_err(on())?;
        });
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// What a directory keeps of a user, as JSON.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn attributes(self, id: UserId) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> = reading!(self.database, pool => {
            sqlx::query_scalar(ATTRIBUTES).bind(id.as_uuid()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("read a user's attributes"))?;
        Ok(found.flatten())
    }

    /// What a directory keeps of each user, as JSON.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn all_attributes(self) -> Result<Vec<(UserId, String)>, StoreError> {
        let rows: Vec<(Uuid, String)> =
            reading!(self.database, pool => sqlx::query_as(ALL_ATTRIBUTES).fetch_all(pool).await)
                .map_err(StoreError::on("read the attributes of users"))?;
        Ok(rows.into_iter().map(|(id, json)| (UserId::from_uuid(id), json)).collect())
    }

    /// Adds a user whom a directory makes, with what it says of them and what
    /// it calls them, unless somebody has the login; false then.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the identity is somebody else's.
    pub async fn provision(
        self,
        user: &User,
        attributes: &str,
        identity: Option<&Identity>,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("add a user of a directory");
        let mut work = self.database.begin().await.map_err(on())?;
        if !super::insert_new(&mut work, user).await.map_err(on())? {
            return Ok(false);
        }
        set_attributes(&mut work, user.id, attributes).await.map_err(on())?;
        if let Some(identity) = identity {
            identity::add(&mut work, identity, user.id).await.map_err(on())?;
        }
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// Keeps what a directory says of a user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn set_attributes(self, id: UserId, json: &str) -> Result<(), StoreError> {
        let on = || StoreError::on("write a user's attributes");
        let mut work = self.database.begin().await.map_err(on())?;
        set_attributes(&mut work, id, json).await.map_err(on())?;
        work.commit().await.map_err(on())
    }

    /// The hashes of what a directory may prove itself with.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn directory_tokens(self) -> Result<Vec<TokenHash>, StoreError> {
        let rows: Vec<Vec<u8>> =
            reading!(self.database, pool => sqlx::query_scalar(TOKENS).fetch_all(pool).await)
                .map_err(StoreError::on("read the directory's token"))?;
        rows.into_iter()
            .map(|hash| {
                hash.try_into().map(TokenHash).map_err(|_| StoreError::Damaged {
                    what: "a directory's token",
                    detail: "its hash has not 32 bytes".to_owned(),
                })
            })
            .collect()
    }

    /// From here on this token is the only one, or there is none. Tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn set_directory_token(
        self,
        hash: Option<TokenHash>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("set the directory's token");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(FORGET_TOKENS).execute(connection).await.map_err(on())?;
        });
        if let Some(hash) = hash {
            within!(&mut work, connection => {
                sqlx::query(INSERT_TOKEN)
                    .bind(hash.0.as_slice())
                    .bind(now.as_micros())
                    .execute(connection)
                    .await
                    .map_err(on())?;
            });
        }
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }
}

async fn write(work: &mut Work, group: &DirectoryGroup, old: Option<&str>) -> Result<(), sqlx::Error> {
    match old {
        Some(old) => {
            empty(work, old).await?;
            within!(work, connection => {
                sqlx::query(UPDATE)
                    .bind(group.id)
                    .bind(&group.name)
                    .bind(&group.external_id)
                    .execute(connection)
                    .await?;
            });
        }
        None => within!(work, connection => {
            sqlx::query(INSERT)
                .bind(group.id)
                .bind(&group.name)
                .bind(&group.external_id)
                .bind(group.created_at.as_micros())
                .execute(connection)
                .await?;
        }),
    }
    for member in &group.members {
        within!(work, connection => {
            sqlx::query(JOIN)
                .bind(member.as_uuid())
                .bind(SOURCE)
                .bind(&group.name)
                .execute(connection)
                .await?;
        });
    }
    Ok(())
}

async fn empty(work: &mut Work, name: &str) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(EMPTY).bind(SOURCE).bind(name).execute(connection).await.map(drop)
    })
}

async fn set_attributes(work: &mut Work, id: UserId, json: &str) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(SET_ATTRIBUTES).bind(id.as_uuid()).bind(json).execute(connection).await.map(drop)
    })
}
