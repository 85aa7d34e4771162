//! Grants at upstream servers: who refreshes one holds its lease, and every
//! change is a compare-and-swap on the version.

use trunkline_model::{
    Connection, ConnectionDetail, ConnectionOwner, ConnectionState, ServerName, Timestamp,
};

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const PUT: &str = "INSERT INTO upstream_connection (server, owner, version, state, sealed, detail) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (server, owner) DO UPDATE SET version = excluded.version, \
     state = excluded.state, sealed = excluded.sealed, detail = excluded.detail, lease_holder = NULL, lease_until = NULL";
const LIST: &str = "SELECT server, owner, version, state, sealed, detail, lease_holder, lease_until \
     FROM upstream_connection ORDER BY server, owner";
const FIND: &str = "SELECT server, owner, version, state, sealed, detail, lease_holder, lease_until \
     FROM upstream_connection WHERE server = $1 AND owner = $2";
const LEASE: &str = "UPDATE upstream_connection SET lease_holder = $4, lease_until = $5, detail = $6 \
     WHERE server = $1 AND owner = $2 AND version = $3 AND (lease_until IS NULL OR lease_until < $7)";
const SAVE: &str = "UPDATE upstream_connection SET version = version + 1, state = $5, sealed = $6, detail = $7, \
     lease_holder = NULL, lease_until = NULL \
     WHERE server = $1 AND owner = $2 AND version = $3 AND (lease_holder IS NULL OR lease_holder = $4)";
const DELETE: &str = "DELETE FROM upstream_connection WHERE server = $1 AND owner = $2";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[PUT, LIST, FIND, LEASE, SAVE, DELETE];

type Row = (String, String, i64, String, Option<String>, String, Option<String>, Option<i64>);

/// The repository of connections.
#[derive(Debug, Clone, Copy)]
pub struct Connections<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored, and the version is one more.
    Done,
    /// Somebody else has changed or removed it meanwhile; nothing is stored.
    Superseded,
}

impl<'a> Connections<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Stores a new connection in place of the one that there may be, and
    /// tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn put(self, connection: &Connection) -> Result<(), StoreError> {
        let on = || StoreError::on("store a connection");
        let detail = json(&connection.detail)?;
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(PUT)
                .bind(connection.server.as_str())
                .bind(connection.owner.as_str())
                .bind(connection.version)
                .bind(connection.state.as_str())
                .bind(connection.sealed.as_deref())
                .bind(&detail)
                .execute(open)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Connections).await.map_err(on())?;
        Ok(())
    }

    /// All connections, by server and owner.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<Connection>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the connections"))?;
        rows.into_iter().map(connection).collect()
    }

    /// The connection of `owner` to `server`; none when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(
        self,
        server: &ServerName,
        owner: &ConnectionOwner,
    ) -> Result<Option<Connection>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(server.as_str()).bind(owner.as_str()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a connection"))?;
        row.map(connection).transpose()
    }

    /// Lets `holder` alone refresh this version until `until`, and stores the
    /// detail, which says so. False when another one does, or the connection
    /// has changed.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn lease(
        self,
        connection: &Connection,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("lease a connection");
        let detail = json(&connection.detail)?;
        let mut work = self.database.begin().await.map_err(on())?;
        let leased = within!(&mut work, open => {
            sqlx::query(LEASE)
                .bind(connection.server.as_str())
                .bind(connection.owner.as_str())
                .bind(connection.version)
                .bind(holder)
                .bind(until.as_micros())
                .bind(&detail)
                .bind(now.as_micros())
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(leased == 1)
    }

    /// Stores the next version of `connection`, ends its lease, and tells
    /// every process. `holder` is who holds the lease, if anybody may.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn save(self, connection: &Connection, holder: &str) -> Result<Saved, StoreError> {
        let on = || StoreError::on("change a connection");
        let detail = json(&connection.detail)?;
        let mut work = self.database.begin().await.map_err(on())?;
        let saved = within!(&mut work, open => {
            sqlx::query(SAVE)
                .bind(connection.server.as_str())
                .bind(connection.owner.as_str())
                .bind(connection.version)
                .bind(holder)
                .bind(connection.state.as_str())
                .bind(connection.sealed.as_deref())
                .bind(&detail)
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if saved == 0 {
            return Ok(Saved::Superseded);
        }
        self.watcher.commit(work, Topic::Connections).await.map_err(on())?;
        Ok(Saved::Done)
    }

    /// Removes a connection with its tokens, and tells every process. False
    /// when there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete(self, server: &ServerName, owner: &ConnectionOwner) -> Result<bool, StoreError> {
        let on = || StoreError::on("remove a connection");
        let mut work = self.database.begin().await.map_err(on())?;
        let removed = within!(&mut work, open => {
            sqlx::query(DELETE)
                .bind(server.as_str())
                .bind(owner.as_str())
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if removed == 0 {
            return Ok(false);
        }
        self.watcher.commit(work, Topic::Connections).await.map_err(on())?;
        Ok(true)
    }
}

fn json(detail: &ConnectionDetail) -> Result<String, StoreError> {
    serde_json::to_string(detail)
        .map_err(|error| StoreError::Damaged { what: "a connection", detail: error.to_string() })
}

fn connection(row: Row) -> Result<Connection, StoreError> {
    let (server, owner, version, state, sealed, detail, holder, until) = row;
    let damaged = |detail: &dyn std::fmt::Display| StoreError::Damaged {
        what: "a connection",
        detail: format!("{server} of {owner}: {detail}"),
    };
    Ok(Connection {
        state: ConnectionState::named(&state).ok_or_else(|| damaged(&"its state is unknown"))?,
        detail: serde_json::from_str(&detail).map_err(|error| damaged(&error))?,
        owner: ConnectionOwner::named(&owner),
        server: ServerName::new(&server).map_err(|error| damaged(&error))?,
        version,
        sealed,
        lease: holder.zip(until.map(Timestamp::from_micros)),
    })
}
