//! The clients that the hub is at the authorization servers of upstream servers.

use trunkline_model::{ServerName, UpstreamClient};

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const PUT: &str = "INSERT INTO upstream_client (server, issuer, client_id, sealed, detail) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (server, issuer) DO UPDATE SET client_id = excluded.client_id, \
     sealed = excluded.sealed, detail = excluded.detail";
const LIST: &str =
    "SELECT server, issuer, client_id, sealed, detail FROM upstream_client ORDER BY server, issuer";
const FIND: &str =
    "SELECT server, issuer, client_id, sealed, detail FROM upstream_client WHERE server = $1 AND issuer = $2";
const DELETE: &str = "DELETE FROM upstream_client WHERE server = $1 AND issuer = $2";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[PUT, LIST, FIND, DELETE];

type Row = (String, String, String, Option<String>, String);

/// The repository of clients.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamClients<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> UpstreamClients<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Stores a client in place of the one that there may be for its server
    /// and issuer, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn put(self, client: &UpstreamClient) -> Result<(), StoreError> {
        let on = || StoreError::on("store a client");
        let detail = serde_json::to_string(&client.detail)
            .map_err(|error| StoreError::Damaged { what: "a client", detail: error.to_string() })?;
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(PUT)
                .bind(client.server.as_str())
                .bind(&client.issuer)
                .bind(&client.client_id)
                .bind(client.sealed.as_deref())
                .bind(&detail)
                .execute(open)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Connections).await.map_err(on())?;
        Ok(())
    }

    /// All clients, by server and issuer.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn list(self) -> Result<Vec<UpstreamClient>, StoreError> {
        let rows: Vec<Row> = reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
            .map_err(StoreError::on("list the clients"))?;
        rows.into_iter().map(client).collect()
    }

    /// The client at `issuer` for `server`; none when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, server: &ServerName, issuer: &str) -> Result<Option<UpstreamClient>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(server.as_str()).bind(issuer).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a client"))?;
        row.map(client).transpose()
    }

    /// Removes a client with its secret, and tells every process. False when
    /// there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn delete(self, server: &ServerName, issuer: &str) -> Result<bool, StoreError> {
        let on = || StoreError::on("remove a client");
        let mut work = self.database.begin().await.map_err(on())?;
        let removed = within!(&mut work, open => {
            sqlx::query(DELETE)
                .bind(server.as_str())
                .bind(issuer)
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

fn client(row: Row) -> Result<UpstreamClient, StoreError> {
    let (server, issuer, client_id, sealed, detail) = row;
    let damaged = |detail: &dyn std::fmt::Display| StoreError::Damaged {
        what: "a client",
        detail: format!("{server} at {issuer}: {detail}"),
    };
    Ok(UpstreamClient {
        detail: serde_json::from_str(&detail).map_err(|error| damaged(&error))?,
        server: ServerName::new(&server).map_err(|error| damaged(&error))?,
        issuer,
        client_id,
        sealed,
    })
}
