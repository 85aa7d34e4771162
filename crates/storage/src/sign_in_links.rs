//! Links that sign one person in, once; and the first of them, which makes
//! the first owner.

use trunkline_model::{Timestamp, TokenHash, User, UserId};
use uuid::Uuid;

use crate::browser_sessions::{self, IssuerSession, NewSession};
use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;
use crate::users::{self, take_turn};

const INSERT: &str =
    "INSERT INTO sign_in_link (hash, user_id, created_at, expires_at, used_at) VALUES ($1, $2, $3, $4, NULL)";
const FORGET_SETUP: &str = "DELETE FROM sign_in_link WHERE user_id IS NULL";
const FORGET_OLD: &str = "DELETE FROM sign_in_link WHERE expires_at < $1";
const FIND: &str = "SELECT user_id FROM sign_in_link WHERE hash = $1 AND used_at IS NULL AND expires_at > $2";
const USE: &str =
    "UPDATE sign_in_link SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $3";
const SET_PASSWORD: &str = "UPDATE user_account SET password = $2 WHERE id = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FORGET_SETUP, FORGET_OLD, FIND, USE, SET_PASSWORD];

/// Whom a link signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFor {
    /// Whoever opens it makes the account of the first owner.
    FirstOwner,
    User(UserId),
}

/// The repository of sign-in links.
#[derive(Debug, Clone, Copy)]
pub struct SignInLinks<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> SignInLinks<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a link for a user.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when there is no such user.
    pub async fn insert(
        self,
        hash: TokenHash,
        user: UserId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("add a sign-in link");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(FORGET_OLD).bind(now.as_micros()).execute(connection).await.map_err(on())?;
        });
        insert(&mut work, hash, Some(user), now, until).await.map_err(on())?;
        work.commit().await.map_err(on())
    }

    /// Makes this the only link with which the first owner makes their
    /// account; false when there is a user already.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert_setup(
        self,
        hash: TokenHash,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("add the setup link");
        let mut work = self.database.begin().await.map_err(on())?;
        take_turn(&mut work).await.map_err(on())?;
        if users::any(&mut work).await.map_err(on())? {
            return Ok(false);
        }
        within!(&mut work, connection => {
            sqlx::query(FORGET_SETUP).execute(connection).await.map_err(on())?;
        });
        insert(&mut work, hash, None, now, until).await.map_err(on())?;
        work.commit().await.map_err(on())?;
        Ok(true)
    }

    /// Whom this link would sign in; none when it was used, is too old, or
    /// never was.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn find(self, hash: TokenHash, now: Timestamp) -> Result<Option<LinkFor>, StoreError> {
        let found: Option<Option<Uuid>> = reading!(self.database, pool => {
            sqlx::query_scalar(FIND)
                .bind(hash.0.as_slice())
                .bind(now.as_micros())
                .fetch_optional(pool)
                .await
        })
        .map_err(StoreError::on("find a sign-in link"))?;
        Ok(found.map(|user| user.map_or(LinkFor::FirstOwner, |id| LinkFor::User(UserId::from_uuid(id)))))
    }

    /// Uses up a link of a user, with a password that they chose where there
    /// is one, and begins their session; false when the link opens nothing any
    /// more. Tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`]: then the link is as good as before.
    pub async fn follow(
        self,
        hash: TokenHash,
        password: Option<&str>,
        new: NewSession<'_>,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("use a sign-in link");
        let now = new.session.created_at;
        let mut work = self.database.begin().await.map_err(on())?;
        if !take(&mut work, hash, now).await.map_err(on())? {
            return Ok(false);
        }
        if let Some(password) = password {
            users::set_password(&mut work, new.session.user, Some(password), now).await.map_err(on())?;
        }
        begin(&mut work, new).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// Uses up the setup link, adds the first owner with the hash of their
    /// password, and begins their session; false when the link opens nothing
    /// any more or there is a user. Tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`]: then the link is as good as before.
    pub async fn become_first_owner(
        self,
        hash: TokenHash,
        owner: &User,
        password: &str,
        new: NewSession<'_>,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("add the first owner");
        let now = new.session.created_at;
        let mut work = self.database.begin().await.map_err(on())?;
        take_turn(&mut work).await.map_err(on())?;
        if users::any(&mut work).await.map_err(on())? || !take(&mut work, hash, now).await.map_err(on())? {
            return Ok(false);
        }
        users::insert(&mut work, owner).await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(SET_PASSWORD)
                .bind(owner.id.as_uuid())
                .bind(password)
                .execute(connection)
                .await
                .map_err(on())?;
        });
        begin(&mut work, new).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }
}

async fn begin(work: &mut Work, new: NewSession<'_>) -> Result<(), sqlx::Error> {
    browser_sessions::insert(work, new.session, new.hash, &IssuerSession::default()).await
}

async fn insert(
    work: &mut Work,
    hash: TokenHash,
    user: Option<UserId>,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(hash.0.as_slice())
            .bind(user.map(UserId::as_uuid))
            .bind(now.as_micros())
            .bind(until.as_micros())
            .execute(connection)
            .await
            .map(drop)
    })
}

async fn take(work: &mut Work, hash: TokenHash, now: Timestamp) -> Result<bool, sqlx::Error> {
    let used = within!(work, connection => {
        sqlx::query(USE)
            .bind(hash.0.as_slice())
            .bind(now.as_micros())
            .bind(now.as_micros())
            .execute(connection)
            .await?
            .rows_affected()
    });
    Ok(used == 1)
}
