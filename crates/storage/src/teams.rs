//! Teams and their members.

use trunkline_model::{Team, TeamId, Timestamp, UserId};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;
use crate::users::take_turn;

const TAKEN: &str = "SELECT COUNT(*) FROM team WHERE name = $1";
const INSERT: &str = "INSERT INTO team (id, name, created_at) VALUES ($1, $2, $3)";
const LIST: &str = "SELECT id, name, created_at FROM team ORDER BY name";
const MEMBERS: &str = "SELECT team_id, user_id FROM team_member ORDER BY team_id, user_id";
const JOIN: &str =
    "INSERT INTO team_member (team_id, user_id) VALUES ($1, $2) ON CONFLICT (team_id, user_id) DO NOTHING";
const LEAVE: &str = "DELETE FROM team_member WHERE team_id = $1 AND user_id = $2";
const DELETE: &str = "DELETE FROM team WHERE id = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[TAKEN, INSERT, LIST, MEMBERS, JOIN, LEAVE, DELETE];

/// The repository of teams.
#[derive(Debug, Clone, Copy)]
pub struct Teams<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Teams<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a team, and tells every process; false when the name is taken.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, team: &Team) -> Result<bool, StoreError> {
        let on = || StoreError::on("add a team");
        let mut work = self.database.begin().await.map_err(on())?;
        take_turn(&mut work).await.map_err(on())?;
        let taken: i64 = within!(&mut work, connection => {
            sqlx::query_scalar(TAKEN).bind(&team.name).fetch_one(connection).await.map_err(on())?
        });
        if taken > 0 {
            return Ok(false);
        }
        within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(team.id.as_uuid())
                .bind(&team.name)
                .bind(team.created_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }

    /// All teams, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn list(self) -> Result<Vec<Team>, StoreError> {
        let rows: Vec<(Uuid, String, i64)> =
            reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
                .map_err(StoreError::on("list the teams"))?;
        Ok(rows
            .into_iter()
            .map(|(id, name, created_at)| Team {
                id: TeamId::from_uuid(id),
                name,
                created_at: Timestamp::from_micros(created_at),
            })
            .collect())
    }

    /// Who is in which team.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn members(self) -> Result<Vec<(TeamId, UserId)>, StoreError> {
        let rows: Vec<(Uuid, Uuid)> =
            reading!(self.database, pool => sqlx::query_as(MEMBERS).fetch_all(pool).await)
                .map_err(StoreError::on("list the members of teams"))?;
        Ok(rows.into_iter().map(|(team, user)| (TeamId::from_uuid(team), UserId::from_uuid(user))).collect())
    }

    /// Puts a user into a team, and tells every process; false when the user
    /// was in it before.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when there is no such user or team.
    pub async fn join(self, team: TeamId, user: UserId) -> Result<bool, StoreError> {
        self.member(JOIN, team, user).await
    }

    /// Takes a user out of a team, and tells every process; false when the
    /// user was not in it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn leave(self, team: TeamId, user: UserId) -> Result<bool, StoreError> {
        self.member(LEAVE, team, user).await
    }

    async fn member(self, sql: &'static str, team: TeamId, user: UserId) -> Result<bool, StoreError> {
        let on = || StoreError::on("change the members of a team");
        let mut work = self.database.begin().await.map_err(on())?;
        let changed = within!(&mut work, connection => {
            sqlx::query(sql)
                .bind(team.as_uuid())
                .bind(user.as_uuid())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if changed > 0 {
            self.watcher.commit(work, Topic::People).await.map_err(on())?;
        }
        Ok(changed > 0)
    }

    /// Deletes a team with its keys, and tells every process; false when
    /// there was none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete(self, id: TeamId) -> Result<bool, StoreError> {
        let on = || StoreError::on("delete a team");
        let mut work = self.database.begin().await.map_err(on())?;
        let deleted = within!(&mut work, connection => {
            sqlx::query(DELETE).bind(id.as_uuid()).execute(connection).await.map_err(on())?.rows_affected()
        });
        if deleted > 0 {
            self.watcher.commit_on(work, &[Topic::People, Topic::Keys]).await.map_err(on())?;
        }
        Ok(deleted > 0)
    }
}
