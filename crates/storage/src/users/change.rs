//! Changing and deleting users. One owner who can sign in always stays, and
//! who is disabled loses what they were signed in with.

use trunkline_model::{Role, Timestamp, User, UserId};

use super::{FIND, Row, Users, user};
use crate::changes::Topic;
use crate::database::{Work, within};
use crate::error::StoreError;
use crate::kept_identities::ERASE_OF_USER;

/// Holds the row until the end of the transaction: changes that must see each
/// other's outcome come one after the other.
const TAKE_TURN: &str = "UPDATE change_counter SET version = version WHERE id = 1";
const OTHER_OWNERS: &str = "SELECT COUNT(*) FROM user_account \
     WHERE role = 'owner' AND kind = 'person' AND disabled_at IS NULL AND id <> $1";
const UPDATE: &str =
    "UPDATE user_account SET login = $2, name = $3, role = $4, disabled_at = $5 WHERE id = $1";
const END_SESSIONS: &str =
    "UPDATE browser_session SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
const END_KEYS: &str = "UPDATE api_key SET revoked_at = $2 WHERE owner_user = $1 AND revoked_at IS NULL";
const END_GRANTS: &str = "UPDATE oauth_grant SET revoked_at = $2, revoked_because = 'the user was disabled or deleted' \
     WHERE user_id = $1 AND revoked_at IS NULL";
const END_LINKS: &str = "DELETE FROM sign_in_link WHERE user_id = $1";
const LOGIN_OF_ANOTHER: &str = "SELECT COUNT(*) FROM user_account WHERE login = $1 AND id <> $2";
const DELETE: &str = "DELETE FROM user_account WHERE id = $1";
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    TAKE_TURN,
    OTHER_OWNERS,
    UPDATE,
    END_SESSIONS,
    END_KEYS,
    END_GRANTS,
    END_LINKS,
    LOGIN_OF_ANOTHER,
    DELETE,
];

/// What a change of a user may touch.
const ENDED: &[Topic] = &[Topic::People, Topic::Keys, Topic::Grants, Topic::Identities];

/// What is to be otherwise; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub login: Option<String>,
    pub name: Option<String>,
    pub role: Option<Role>,
    /// `true` disables, and ends the user's sessions, keys, grants and links.
    pub disabled: Option<bool>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The user as it is now, or as it was when it was deleted.
    Done(User),
    /// There is no such user.
    Absent,
    /// It is the last owner who can sign in; nothing changed.
    LastOwner,
    /// Whoever asks may not manage users of that role; nothing changed.
    Forbidden,
    /// Somebody else has that login; nothing changed.
    LoginTaken,
}

impl Users<'_> {
    /// Changes a user on behalf of somebody with the role `by`, and tells
    /// every process.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn change(
        self,
        id: UserId,
        change: UserChange,
        by: Role,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let on = || StoreError::on("change a user");
        let mut work = self.database.begin().await.map_err(on())?;
        take_turn(&mut work).await.map_err(on())?;
        let Some(before) = find(&mut work, id).await? else { return Ok(Changed::Absent) };
        let after = changed(before.clone(), change, now);
        if !by.may_manage(before.role) || !by.may_manage(after.role) {
            return Ok(Changed::Forbidden);
        }
        if is_active_owner(&before)
            && !is_active_owner(&after)
            && is_last_owner(&mut work, id).await.map_err(on())?
        {
            return Ok(Changed::LastOwner);
        }
        if after.login != before.login && is_taken(&mut work, &after).await.map_err(on())? {
            return Ok(Changed::LoginTaken);
        }
        update(&mut work, &after).await.map_err(on())?;
        if let Some(at) = after.disabled_at {
            end_everything(&mut work, id, at).await.map_err(on())?;
        }
        self.watcher.commit_on(work, ENDED).await.map_err(on())?;
        Ok(Changed::Done(after))
    }

    /// Deletes a user with identities, memberships, sessions and keys, on
    /// behalf of somebody with the role `by`, ends what was granted, and tells
    /// every process.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn delete(self, id: UserId, by: Role, now: Timestamp) -> Result<Changed, StoreError> {
        let on = || StoreError::on("delete a user");
        let mut work = self.database.begin().await.map_err(on())?;
        take_turn(&mut work).await.map_err(on())?;
        let Some(user) = find(&mut work, id).await? else { return Ok(Changed::Absent) };
        if !by.may_manage(user.role) {
            return Ok(Changed::Forbidden);
        }
        if is_active_owner(&user) && is_last_owner(&mut work, id).await.map_err(on())? {
            return Ok(Changed::LastOwner);
        }
        end_everything(&mut work, id, now).await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(DELETE).bind(id.as_uuid()).execute(connection).await.map_err(on())?;
        });
        self.watcher.commit_on(work, ENDED).await.map_err(on())?;
        Ok(Changed::Done(user))
    }
}

pub(crate) async fn take_turn(work: &mut Work) -> Result<(), sqlx::Error> {
    within!(work, connection => sqlx::query(TAKE_TURN).execute(connection).await.map(drop))
}

fn changed(mut user: User, change: UserChange, now: Timestamp) -> User {
    if let Some(login) = change.login {
        user.login = login;
    }
    if let Some(name) = change.name {
        user.name = name;
    }
    if let Some(role) = change.role {
        user.role = role;
    }
    match change.disabled {
        Some(true) => user.disabled_at = user.disabled_at.or(Some(now)),
        Some(false) => user.disabled_at = None,
        None => {}
    }
    user
}

fn is_active_owner(user: &User) -> bool {
    user.role == Role::Owner && user.kind == trunkline_model::UserKind::Person && user.disabled_at.is_none()
}

async fn find(work: &mut Work, id: UserId) -> Result<Option<User>, StoreError> {
    let row: Option<Row> = within!(work, connection => {
        sqlx::query_as(FIND)
            .bind(id.as_uuid())
            .fetch_optional(connection)
            .await
            .map_err(StoreError::on("find a user"))?
    });
    row.map(user).transpose()
}

async fn is_last_owner(work: &mut Work, id: UserId) -> Result<bool, sqlx::Error> {
    let others: i64 = within!(work, connection => {
        sqlx::query_scalar(OTHER_OWNERS).bind(id.as_uuid()).fetch_one(connection).await?
    });
    Ok(others == 0)
}

async fn is_taken(work: &mut Work, user: &User) -> Result<bool, sqlx::Error> {
    let others: i64 = within!(work, connection => {
        sqlx::query_scalar(LOGIN_OF_ANOTHER)
            .bind(&user.login)
            .bind(user.id.as_uuid())
            .fetch_one(connection)
            .await?
    });
    Ok(others > 0)
}

async fn update(work: &mut Work, user: &User) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(UPDATE)
            .bind(user.id.as_uuid())
            .bind(&user.login)
            .bind(&user.name)
            .bind(user.role.as_str())
            .bind(user.disabled_at.map(Timestamp::as_micros))
            .execute(connection)
            .await
            .map(drop)
    })
}

async fn end_everything(work: &mut Work, id: UserId, at: Timestamp) -> Result<(), sqlx::Error> {
    for ending in [END_SESSIONS, END_KEYS, END_GRANTS] {
        within!(work, connection => {
            sqlx::query(ending).bind(id.as_uuid()).bind(at.as_micros()).execute(connection).await?;
        });
    }
    for ending in [END_LINKS, ERASE_OF_USER] {
        within!(work, connection => {
            sqlx::query(ending).bind(id.as_uuid()).execute(connection).await?;
        });
    }
    Ok(())
}
