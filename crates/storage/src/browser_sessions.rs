//! Browser sessions, by the hashes of their cookies.

use trunkline_model::{BrowserSession, SessionId, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO browser_session (id, hash, user_id, method, user_agent, created_at, expires_at, revoked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const LIVE: &str = "SELECT id, hash, user_id, method, user_agent, created_at, expires_at, revoked_at \
     FROM browser_session WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY created_at, id";
const REVOKE: &str = "UPDATE browser_session SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, LIVE, REVOKE];

type Row = (Uuid, Vec<u8>, Uuid, String, String, i64, i64, Option<i64>);

/// The repository of browser sessions.
#[derive(Debug, Clone, Copy)]
pub struct BrowserSessions<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> BrowserSessions<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Adds a session whose cookie has this hash, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(self, session: &BrowserSession, hash: TokenHash) -> Result<(), StoreError> {
        let on = || StoreError::on("add a browser session");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(session.id.as_uuid())
                .bind(hash.0.as_slice())
                .bind(session.user.as_uuid())
                .bind(&session.method)
                .bind(&session.user_agent)
                .bind(session.created_at.as_micros())
                .bind(session.expires_at.as_micros())
                .bind(session.revoked_at.map(Timestamp::as_micros))
                .execute(connection)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }

    /// The sessions that are live at `now`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn live(self, now: Timestamp) -> Result<Vec<(TokenHash, BrowserSession)>, StoreError> {
        let rows: Vec<Row> =
            reading!(self.database, pool => sqlx::query_as(LIVE).bind(now.as_micros()).fetch_all(pool).await)
                .map_err(StoreError::on("list the browser sessions"))?;
        rows.into_iter().map(session).collect()
    }

    /// Ends a session, and tells every process. False when there is no such
    /// session or it had ended before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke(self, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("end a browser session");
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
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(true)
    }
}

fn session(row: Row) -> Result<(TokenHash, BrowserSession), StoreError> {
    let (id, hash, user, method, user_agent, created_at, expires_at, revoked_at) = row;
    let id = SessionId::from_uuid(id);
    let hash = hash.try_into().map_err(|_| StoreError::Damaged {
        what: "a browser session",
        detail: format!("{id}: its hash has not 32 bytes"),
    })?;
    let session = BrowserSession {
        id,
        user: UserId::from_uuid(user),
        method,
        user_agent,
        created_at: Timestamp::from_micros(created_at),
        expires_at: Timestamp::from_micros(expires_at),
        revoked_at: revoked_at.map(Timestamp::from_micros),
    };
    Ok((TokenHash(hash), session))
}
