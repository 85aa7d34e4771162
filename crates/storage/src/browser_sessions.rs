//! Browser sessions, by the hashes of their cookies.

use trunkline_model::{BrowserSession, SessionId, Timestamp, TokenHash, UserId};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, Work, reading, within};
use crate::error::StoreError;
use crate::kept_identities::ERASE_OF_USER;

const INSERT: &str = "INSERT INTO browser_session (id, hash, user_id, method, issuer_session, id_token, user_agent, \
     created_at, seen_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const FORGET_OLD: &str = "DELETE FROM browser_session WHERE expires_at < $1";
const LIVE: &str = "SELECT id, hash, user_id, method, user_agent, created_at, seen_at, expires_at, revoked_at \
     FROM browser_session WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY created_at, id";
const SEEN: &str = "UPDATE browser_session SET seen_at = $2 WHERE id = $1";
const ID_TOKEN: &str = "SELECT id_token FROM browser_session WHERE id = $1";
const REVOKE: &str = "UPDATE browser_session SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_OF_USER: &str =
    "UPDATE browser_session SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
const REVOKE_OF_ISSUER: &str = "UPDATE browser_session SET revoked_at = $3 \
     WHERE method = $1 AND issuer_session = $2 AND revoked_at IS NULL";
const REVOKE_OF_METHOD: &str = "UPDATE browser_session SET revoked_at = $3 \
     WHERE method = $1 AND user_id = $2 AND revoked_at IS NULL";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] =
    &[INSERT, FORGET_OLD, LIVE, SEEN, ID_TOKEN, REVOKE, REVOKE_OF_USER, REVOKE_OF_ISSUER, REVOKE_OF_METHOD];

type Row = (Uuid, Vec<u8>, Uuid, String, String, i64, i64, i64, Option<i64>);

/// What an identity provider gave with a sign-in, for the sign-out.
#[derive(Debug, Clone, Default)]
pub struct IssuerSession {
    /// What the issuer calls the session (`sid`).
    pub id: Option<String>,
    /// The ID token, sealed.
    pub id_token: Option<String>,
}

/// A session that begins together with something else.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    pub session: &'a BrowserSession,
    /// Of its cookie.
    pub hash: TokenHash,
}

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

    /// Adds a session whose cookie has this hash, forgets those whose time was
    /// up before it began, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert(
        self,
        session: &BrowserSession,
        hash: TokenHash,
        issuer: &IssuerSession,
    ) -> Result<(), StoreError> {
        let on = || StoreError::on("add a browser session");
        let mut work = self.database.begin().await.map_err(on())?;
        insert(&mut work, session, hash, issuer).await.map_err(on())?;
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

    /// Writes when sessions were last used, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn seen(self, uses: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        let on = || StoreError::on("write when sessions were used");
        let mut work = self.database.begin().await.map_err(on())?;
        for (id, at) in uses {
            within!(&mut work, connection => {
                sqlx::query(SEEN)
                    .bind(id.as_uuid())
                    .bind(at.as_micros())
                    .execute(connection)
                    .await
                    .map_err(on())?;
            });
        }
        self.watcher.commit(work, Topic::People).await.map_err(on())?;
        Ok(())
    }

    /// The sealed ID token that a session began with.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn id_token(self, id: SessionId) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> = reading!(self.database, pool => {
            sqlx::query_scalar(ID_TOKEN).bind(id.as_uuid()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("read a session's ID token"))?;
        Ok(found.flatten())
    }

    /// Ends a session, and tells every process. False when there is no such
    /// session or it had ended before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke(self, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.end(Ending::One { id: id.as_uuid(), at }).await? > 0)
    }

    /// Ends every session of a user, erases what identity providers gave for
    /// them, and tells every process. How many sessions there were.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_all_of(self, user: UserId, at: Timestamp) -> Result<u64, StoreError> {
        let on = || StoreError::on("end the sessions of a user");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(ERASE_OF_USER).bind(user.as_uuid()).execute(connection).await.map_err(on())?;
        });
        let ended = within!(&mut work, connection => {
            sqlx::query(REVOKE_OF_USER)
                .bind(user.as_uuid())
                .bind(at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        self.watcher.commit_on(work, &[Topic::People, Topic::Identities]).await.map_err(on())?;
        Ok(ended)
    }

    /// Ends the session that an issuer calls `issuer_session`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_of_issuer(
        self,
        method: &str,
        issuer_session: &str,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.end(Ending::Issuer { method, issuer_session, at }).await
    }

    /// Ends the sessions that a user began through one issuer.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_of_method(
        self,
        method: &str,
        user: UserId,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        self.end(Ending::Method { method, user: user.as_uuid(), at }).await
    }

    async fn end(self, ending: Ending<'_>) -> Result<u64, StoreError> {
        let on = || StoreError::on("end a browser session");
        let mut work = self.database.begin().await.map_err(on())?;
        let ended = within!(&mut work, connection => {
            match ending {
                Ending::One { id, at } => {
                    sqlx::query(REVOKE).bind(id).bind(at.as_micros()).execute(connection).await.map_err(on())?.rows_affected()
                }
                Ending::Issuer { method, issuer_session, at } => {
                    sqlx::query(REVOKE_OF_ISSUER)
                        .bind(method)
                        .bind(issuer_session)
                        .bind(at.as_micros())
                        .execute(connection)
                        .await
                        .map_err(on())?
                        .rows_affected()
                }
                Ending::Method { method, user, at } => {
                    sqlx::query(REVOKE_OF_METHOD)
                        .bind(method)
                        .bind(user)
                        .bind(at.as_micros())
                        .execute(connection)
                        .await
                        .map_err(on())?
                        .rows_affected()
                }
            }
        });
        if ended > 0 {
            self.watcher.commit(work, Topic::People).await.map_err(on())?;
        }
        Ok(ended)
    }
}

/// Which sessions end.
#[derive(Clone, Copy)]
enum Ending<'a> {
    One { id: Uuid, at: Timestamp },
    Issuer { method: &'a str, issuer_session: &'a str, at: Timestamp },
    Method { method: &'a str, user: Uuid, at: Timestamp },
}

/// Adds a session within `work`, and forgets those whose time was up before.
pub(crate) async fn insert(
    work: &mut Work,
    session: &BrowserSession,
    hash: TokenHash,
    issuer: &IssuerSession,
) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(FORGET_OLD)
            .bind(session.created_at.as_micros())
            .execute(connection)
            .await?;
    });
    within!(work, connection => {
        sqlx::query(INSERT)
            .bind(session.id.as_uuid())
            .bind(hash.0.as_slice())
            .bind(session.user.as_uuid())
            .bind(&session.method)
            .bind(&issuer.id)
            .bind(&issuer.id_token)
            .bind(&session.user_agent)
            .bind(session.created_at.as_micros())
            .bind(session.seen_at.as_micros())
            .bind(session.expires_at.as_micros())
            .bind(session.revoked_at.map(Timestamp::as_micros))
            .execute(connection)
            .await?;
    });
    Ok(())
}

fn session(row: Row) -> Result<(TokenHash, BrowserSession), StoreError> {
    let (id, hash, user, method, user_agent, created_at, seen_at, expires_at, revoked_at) = row;
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
        seen_at: Timestamp::from_micros(seen_at),
        expires_at: Timestamp::from_micros(expires_at),
        revoked_at: revoked_at.map(Timestamp::from_micros),
    };
    Ok((TokenHash(hash), session))
}
