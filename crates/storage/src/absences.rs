//! Servers, profiles and sign-in providers that something is kept for, and
//! since when the configuration no longer names them.

use trunkline_model::Timestamp;

use crate::changes::{Topic, Watcher};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const NOTE: &str =
    "INSERT INTO absence (kind, name, since) VALUES ($1, $2, $3) ON CONFLICT (kind, name) DO NOTHING";
const FORGET: &str = "DELETE FROM absence WHERE kind = $1 AND name = $2";
const LIST: &str = "SELECT kind, name, since FROM absence ORDER BY kind, name";
/// What is kept for servers, profiles and providers.
const KEPT: [(Kind, &str); 5] = [
    (Kind::Server, "SELECT DISTINCT server FROM upstream_connection"),
    (Kind::Server, "SELECT DISTINCT server FROM upstream_client"),
    (Kind::Profile, "SELECT DISTINCT profile FROM api_key WHERE revoked_at IS NULL"),
    (Kind::Profile, "SELECT DISTINCT profile FROM oauth_grant WHERE revoked_at IS NULL"),
    (Kind::Provider, "SELECT DISTINCT provider FROM kept_identity"),
];
const END_KEYS: &str = "UPDATE api_key SET revoked_at = $2 WHERE profile = $1 AND revoked_at IS NULL";
const END_GRANTS: &str = "UPDATE oauth_grant SET revoked_at = $2, revoked_because = 'the profile is no longer configured' \
     WHERE profile = $1 AND revoked_at IS NULL";
const END_CONSENTS: &str = "DELETE FROM oauth_consent WHERE profile = $1";
const END_IDENTITIES: &str = "DELETE FROM kept_identity WHERE provider = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    NOTE,
    FORGET,
    LIST,
    KEPT[0].1,
    KEPT[1].1,
    KEPT[2].1,
    KEPT[3].1,
    KEPT[4].1,
    END_KEYS,
    END_GRANTS,
    END_CONSENTS,
    END_IDENTITIES,
];

/// What can be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An upstream server, with its connections and clients.
    Server,
    /// A profile, with its keys and grants.
    Profile,
    /// A sign-in provider whose people servers are shown.
    Provider,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Server, Self::Profile, Self::Provider];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Profile => "profile",
            Self::Provider => "provider",
        }
    }
}

/// Something that the configuration no longer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    pub kind: Kind,
    pub name: String,
    pub since: Timestamp,
}

/// The repository of absences.
#[derive(Debug, Clone, Copy)]
pub struct Absences<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> Absences<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Everything that something is kept for.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn kept(self) -> Result<Vec<(Kind, String)>, StoreError> {
        let mut kept = Vec::new();
        for (kind, sql) in KEPT {
            let names: Vec<String> =
                reading!(self.database, pool => sqlx::query_scalar(sql).fetch_all(pool).await)
                    .map_err(StoreError::on("tell what something is kept for"))?;
            kept.extend(names.into_iter().map(|name| (kind, name)));
        }
        kept.sort();
        kept.dedup();
        Ok(kept)
    }

    /// What has been noted, by kind and name; kinds of a newer program are left out.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn list(self) -> Result<Vec<Absence>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
                .map_err(StoreError::on("list what is absent"))?;
        let known = |(kind, name, since): (String, String, i64)| {
            let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
            Some(Absence { kind, name, since: Timestamp::from_micros(since) })
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Notes that something is absent. False when it was noted before.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn note(self, kind: Kind, name: &str, since: Timestamp) -> Result<bool, StoreError> {
        let on = || StoreError::on("note what is absent");
        let mut work = self.database.begin().await.map_err(on())?;
        let noted = within!(&mut work, open => {
            sqlx::query(NOTE)
                .bind(kind.as_str())
                .bind(name)
                .bind(since.as_micros())
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(noted == 1)
    }

    /// Forgets that something was absent. False when it was not noted.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn forget(self, kind: Kind, name: &str) -> Result<bool, StoreError> {
        let on = || StoreError::on("forget what was absent");
        let mut work = self.database.begin().await.map_err(on())?;
        let forgotten = within!(&mut work, open => {
            sqlx::query(FORGET)
                .bind(kind.as_str())
                .bind(name)
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(forgotten == 1)
    }

    /// Revokes the keys and grants of a profile, forgets the consents for it,
    /// and tells every process. How many keys and grants there were.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn end_profile(self, name: &str, at: Timestamp) -> Result<u64, StoreError> {
        let on = || StoreError::on("end what a profile had");
        let mut work = self.database.begin().await.map_err(on())?;
        let mut ended = 0;
        for sql in [END_KEYS, END_GRANTS] {
            ended += within!(&mut work, open => {
                sqlx::query(sql).bind(name).bind(at.as_micros()).execute(open).await.map_err(on())?.rows_affected()
            });
        }
        within!(&mut work, open => {
            sqlx::query(END_CONSENTS).bind(name).execute(open).await.map_err(on())?;
        });
        self.watcher.commit_on(work, &[Topic::Keys, Topic::Grants]).await.map_err(on())?;
        Ok(ended)
    }

    /// Erases what a provider gave for people, and tells every process. For
    /// how many there was something.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn end_provider(self, name: &str) -> Result<u64, StoreError> {
        let on = || StoreError::on("erase what a provider gave");
        let mut work = self.database.begin().await.map_err(on())?;
        let ended = within!(&mut work, open => {
            sqlx::query(END_IDENTITIES).bind(name).execute(open).await.map_err(on())?.rows_affected()
        });
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(ended)
    }
}
