//! Users: people and service accounts.

use trunkline_model::{Role, Timestamp, User, UserId, UserKind};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO user_account (id, kind, login, name, role, created_at, disabled_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LIST: &str =
    "SELECT id, kind, login, name, role, created_at, disabled_at FROM user_account ORDER BY login";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIST];

type Row = (Uuid, String, String, String, String, i64, Option<i64>);

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
        within!(&mut work, connection => {
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
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
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
}

fn user(row: Row) -> Result<User, StoreError> {
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
