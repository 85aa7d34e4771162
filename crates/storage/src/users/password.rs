//! Local passwords, as Argon2 leaves them.

use trunkline_model::{Timestamp, User, UserId};

use super::{Row, Users, user};
use crate::changes::Topic;
use crate::database::{Work, reading, within};
use crate::error::StoreError;

const FIND: &str = "SELECT password FROM user_account WHERE login = $1";
const FIND_USER: &str =
    "SELECT id, kind, login, name, role, created_at, disabled_at FROM user_account WHERE login = $1";
const SET: &str = "UPDATE user_account SET password = $2 WHERE id = $1";
const END_SESSIONS: &str =
    "UPDATE browser_session SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[FIND, FIND_USER, SET, END_SESSIONS];

impl Users<'_> {
    /// The user with this login and the hash of their password, in PHC form;
    /// none when there is no such user or they have no password.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn password_of(self, login: &str) -> Result<Option<(User, String)>, StoreError> {
        let on = || StoreError::on("find a user's password");
        let row: Option<Row> =
            reading!(self.database, pool => sqlx::query_as(FIND_USER).bind(login).fetch_optional(pool).await)
                .map_err(on())?;
        let hash: Option<Option<String>> =
            reading!(self.database, pool => sqlx::query_scalar(FIND).bind(login).fetch_optional(pool).await)
                .map_err(on())?;
        let (Some(row), Some(Some(hash))) = (row, hash) else { return Ok(None) };
        Ok(Some((user(row)?, hash)))
    }

    /// Gives a user another password, or none, and ends all their sessions:
    /// whoever knew the old one is out. Tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn set_password(
        self,
        id: UserId,
        hash: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("set a password");
        let mut work = self.database.begin().await.map_err(on())?;
        set_password(&mut work, id, hash, now).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }
}

/// Sets or takes away a password within `work`; the sessions before end.
pub(crate) async fn set_password(
    work: &mut Work,
    id: UserId,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(SET).bind(id.as_uuid()).bind(hash).execute(connection).await?;
    });
    within!(work, connection => {
        sqlx::query(END_SESSIONS)
            .bind(id.as_uuid())
            .bind(now.as_micros())
            .execute(connection)
            .await?;
    });
    Ok(())
}
