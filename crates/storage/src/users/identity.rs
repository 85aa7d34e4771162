//! As whom identity providers know a user, and which groups they say the
//! user is in.

use std::collections::BTreeSet;

use trunkline_model::{User, UserId};
use uuid::Uuid;

use super::{Row, Users, change, insert, user};
use crate::changes::Topic;
use crate::database::{Work, reading, within};
use crate::error::StoreError;

const FIND: &str = "SELECT u.id, u.kind, u.login, u.name, u.role, u.created_at, u.disabled_at \
     FROM user_identity i JOIN user_account u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2";
const INSERT: &str = "INSERT INTO user_identity (issuer, subject, user_id) VALUES ($1, $2, $3)";
const REMOVE: &str = "DELETE FROM user_identity WHERE issuer = $1 AND user_id = $2";
const LIST: &str = "SELECT issuer, subject, user_id FROM user_identity ORDER BY issuer, subject";
const LOGIN_TAKEN: &str = "SELECT COUNT(*) FROM user_account WHERE login = $1";
const GROUPS: &str = "SELECT user_id, name FROM user_group ORDER BY user_id, name";
const GROUPS_OF: &str = "SELECT name FROM user_group WHERE user_id = $1 AND source = $2 ORDER BY name";
const LEAVE_ALL: &str = "DELETE FROM user_group WHERE user_id = $1 AND source = $2";
const JOIN: &str = "INSERT INTO user_group (user_id, source, name) VALUES ($1, $2, $3)";
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[FIND, INSERT, REMOVE, LIST, LOGIN_TAKEN, GROUPS, GROUPS_OF, LEAVE_ALL, JOIN];

/// As whom an issuer knows a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The issuer's URL, or `scim` for what a directory calls the user.
    pub issuer: String,
    pub subject: String,
}

/// Whose an identity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityOwner {
    Known(User),
    /// Made now.
    New(User),
    /// Somebody else has the login that the new user would have; a login
    /// alone never proves that they are the same.
    LoginTaken,
}

impl Users<'_> {
    /// Whom this identity belongs to; none when nobody signed in with it yet.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find_by_identity(self, identity: &Identity) -> Result<Option<User>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(&identity.issuer).bind(&identity.subject).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a user by their identity"))?;
        row.map(user).transpose()
    }

    /// The owner of this identity, and `new` when there is none yet.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find_or_insert(self, identity: &Identity, new: &User) -> Result<IdentityOwner, StoreError> {
        let on = || StoreError::on("add a user with an identity");
        let mut work = self.database.begin().await.map_err(on())?;
        change::take_turn(&mut work).await.map_err(on())?;
        let row: Option<Row> = within!(&mut work, connection => {
            sqlx::query_as(FIND)
                .bind(&identity.issuer)
                .bind(&identity.subject)
                .fetch_optional(connection)
                .await
                .map_err(on())?
        });
        if let Some(row) = row {
            return Ok(IdentityOwner::Known(user(row)?));
        }
        let taken: i64 = within!(&mut work, connection => {
            sqlx::query_scalar(LOGIN_TAKEN).bind(&new.login).fetch_one(connection).await.map_err(on())?
        });
        if taken > 0 {
            return Ok(IdentityOwner::LoginTaken);
        }
        insert(&mut work, new).await.map_err(on())?;
        add(&mut work, identity, new.id).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(IdentityOwner::New(new.clone()))
    }

    /// From here on the issuer's subject is this user, in place of what it
    /// knew the user as before.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the identity is somebody else's.
    pub async fn set_identity(self, id: UserId, identity: &Identity) -> Result<(), StoreError> {
        let on = || StoreError::on("link an identity to a user");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(REMOVE)
                .bind(&identity.issuer)
                .bind(id.as_uuid())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        add(&mut work, identity, id).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }

    /// Every identity with its user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn identities(self) -> Result<Vec<(Identity, UserId)>, StoreError> {
        let rows: Vec<(String, String, Uuid)> =
            reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
                .map_err(StoreError::on("list the identities"))?;
        Ok(rows
            .into_iter()
            .map(|(issuer, subject, id)| (Identity { issuer, subject }, UserId::from_uuid(id)))
            .collect())
    }

    /// Every membership in a group, of whatever source.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn groups(self) -> Result<Vec<(UserId, String)>, StoreError> {
        let rows: Vec<(Uuid, String)> =
            reading!(self.database, pool => sqlx::query_as(GROUPS).fetch_all(pool).await)
                .map_err(StoreError::on("list the groups"))?;
        Ok(rows.into_iter().map(|(id, name)| (UserId::from_uuid(id), name)).collect())
    }

    /// The groups of a user, as `source` says, are these and no others. Tells
    /// every process when that is news.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn set_groups(
        self,
        id: UserId,
        source: &str,
        groups: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("set a user's groups");
        let mut work = self.database.begin().await.map_err(on())?;
        let before: Vec<String> = within!(&mut work, connection => {
            sqlx::query_scalar(GROUPS_OF)
                .bind(id.as_uuid())
                .bind(source)
                .fetch_all(connection)
                .await
                .map_err(on())?
        });
        if before.into_iter().collect::<BTreeSet<_>>() == *groups {
            return Ok(());
        }
        within!(&mut work, connection => {
            sqlx::query(LEAVE_ALL)
                .bind(id.as_uuid())
                .bind(source)
                .execute(connection)
                .await
                .map_err(on())?;
        });
        for group in groups {
            within!(&mut work, connection => {
                sqlx::query(JOIN)
                    .bind(id.as_uuid())
                    .bind(source)
                    .bind(group)
                    .execute(connection)
                    .await
                    .map_err(on())?;
            });
        }
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }
}

pub(super) async fn add(work: &mut Work, identity: &Identity, id: UserId) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(&identity.issuer)
            .bind(&identity.subject)
            .bind(id.as_uuid())
            .execute(connection)
            .await
            .map(drop)
    })
}
