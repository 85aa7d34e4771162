//! Users: people and service accounts.

mod change;
mod directory;
mod identity;
mod password;

use trunkline_model::{Role, Timestamp, User, UserId, UserKind};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;

pub(crate) use change::take_turn;
pub use change::{Changed, UserChange};
pub use directory::DirectoryGroup;
pub use identity::{Identity, IdentityOwner};
pub(crate) use password::set_password;

const INSERT: &str = "INSERT INTO user_account (id, kind, login, name, role, created_at, disabled_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LIST: &str =
    "SELECT id, kind, login, name, role, created_at, disabled_at FROM user_account ORDER BY login";
const FIND: &str =
    "SELECT id, kind, login, name, role, created_at, disabled_at FROM user_account WHERE id = $1";
const FIND_BY_LOGIN: &str =
    "SELECT id, kind, login, name, role, created_at, disabled_at FROM user_account WHERE login = $1";
const TAKEN: &str = "SELECT COUNT(*) FROM user_account WHERE login = $1";
const ANY: &str = "SELECT COUNT(*) FROM user_account";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&[&str]] = &[
    &[INSERT, LIST, FIND, FIND_BY_LOGIN, TAKEN, ANY],
    change::STATEMENTS,
    directory::STATEMENTS,
    identity::STATEMENTS,
    password::STATEMENTS,
];

pub(crate) type Row = (Uuid, String, String, String, String, i64, Option<i64>);

/// The repository of users.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Users<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a user, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the id or the login is there already.
    pub async fn insert(self, user: &User) -> Result<(), StoreError> {
        let on = || StoreError::on("add a user");
        let mut work = self.database.begin().await.map_err(on())?;
        insert(&mut work, user).await.map_err(on())?;
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }

    /// Adds a user unless somebody has the login; false then.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert_new(self, user: &User) -> Result<bool, StoreError> {
        let on = || StoreError::on("add a user");
        let mut work = self.database.begin().await.map_err(on())?;
        if !insert_new(&mut work, user).await.map_err(on())? {
            return Ok(false);
        }
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// All users, the disabled ones too, by login.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<User>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the users"))?;
        rows.into_iter().map(user).collect()
    }

    /// The user with this id, disabled or not.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, id: UserId) -> Result<Option<User>, StoreError> {
        let row: Option<Row> =
            reading!(self.database, pool => sqlx::query_as(FIND).bind(id.as_uuid()).fetch_optional(pool).await)
                .map_err(StoreError::on("find a user"))?;
        row.map(user).transpose()
    }

    /// The user with this login, disabled or not.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find_by_login(self, login: &str) -> Result<Option<User>, StoreError> {
        let row: Option<Row> =
            reading!(self.database, pool => sqlx::query_as(FIND_BY_LOGIN).bind(login).fetch_optional(pool).await)
                .map_err(StoreError::on("find a user"))?;
        row.map(user).transpose()
    }
}

pub(crate) async fn insert(work: &mut Work, user: &User) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(user.id.as_uuid())
            .bind(user.kind.as_str())
            .bind(&user.login)
            .bind(&user.name)
            .bind(user.role.as_str())
            .bind(user.created_at.as_micros())
            .bind(user.disabled_at.map(Timestamp::as_micros))
            .execute(connection)
            .await
            .map(drop)
    })
}

/// Adds a user unless somebody has the login; false then.
async fn insert_new(work: &mut Work, user: &User) -> Result<bool, sqlx::Error> {
    change::take_turn(work).await?;
    let taken: i64 =
        within!(work, connection => sqlx::query_scalar(TAKEN).bind(&user.login).fetch_one(connection).await)?;
    if taken == 0 {
        insert(work, user).await?;
    }
    Ok(taken == 0)
}

/// Whether there is any user.
pub(crate) async fn any(work: &mut Work) -> Result<bool, sqlx::Error> {
    let count: i64 = within!(work, connection => sqlx::query_scalar(ANY).fetch_one(connection).await)?;
    Ok(count > 0)
}

pub(crate) fn user(row: Row) -> Result<User, StoreError> {
    let (id, kind, login, name, role, created_at, disabled_at) = row;
    let id = UserId::from_uuid(id);
    let damaged = |detail: String| StoreError::Damaged { what: "a user", detail: format!("{id}: {detail}") };
    Ok(User {
        id,
        kind: UserKind::named(&kind).ok_or_else(|| damaged(format!("no kind is called {kind:?}")))?,
        login,
        name,
        role: Role::named(&role).ok_or_else(|| damaged(format!("no role is called {role:?}")))?,
        created_at: Timestamp::from_micros(created_at),
        disabled_at: disabled_at.map(Timestamp::from_micros),
    })
}
