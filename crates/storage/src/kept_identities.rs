//! What identity providers gave for people at their last sign-in: who renews
//! it holds the lease, and every change is a compare-and-swap on the version.

use trunkline_model::{SessionId, Timestamp, UserId};
use uuid::Uuid;

use crate::changes::{Topic, Watcher};
use crate::connections::Saved;
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const PUT: &str = "INSERT INTO kept_identity (user_id, provider, version, sealed, issuer_session) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, provider) DO UPDATE SET version = excluded.version, \
     sealed = excluded.sealed, issuer_session = excluded.issuer_session, lease_holder = NULL, lease_until = NULL";
const LIST: &str =
    "SELECT user_id, provider, version, sealed IS NOT NULL FROM kept_identity ORDER BY user_id, provider";
const FIND: &str = "SELECT version, sealed FROM kept_identity WHERE user_id = $1 AND provider = $2";
const LEASE: &str = "UPDATE kept_identity SET lease_holder = $4, lease_until = $5 \
     WHERE user_id = $1 AND provider = $2 AND version = $3 AND (lease_until IS NULL OR lease_until < $6)";
const RELEASE: &str = "UPDATE kept_identity SET lease_holder = NULL, lease_until = NULL \
     WHERE user_id = $1 AND provider = $2 AND lease_holder = $3";
const SAVE: &str = "UPDATE kept_identity SET version = version + 1, sealed = $5, lease_holder = NULL, lease_until = NULL \
     WHERE user_id = $1 AND provider = $2 AND version = $3 AND (lease_holder IS NULL OR lease_holder = $4)";
const EMPTY: &str = "UPDATE kept_identity SET version = version + 1, sealed = NULL WHERE user_id = $1 AND provider = $2 \
     AND (issuer_session IS NULL OR issuer_session = (SELECT issuer_session FROM browser_session WHERE id = $3))";
const ERASE: &str = "DELETE FROM kept_identity WHERE user_id = $1 AND provider = $2";
const ERASE_OF_SESSION: &str = "DELETE FROM kept_identity WHERE provider = $1 AND issuer_session = $2";
/// Also for users who are disabled, and for those whose sessions an operator ends.
pub(crate) const ERASE_OF_USER: &str = "DELETE FROM kept_identity WHERE user_id = $1";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] =
    &[PUT, LIST, FIND, LEASE, RELEASE, SAVE, EMPTY, ERASE, ERASE_OF_SESSION, ERASE_OF_USER];

/// What one provider gave for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptIdentity {
    pub user: UserId,
    /// The provider's name in the configuration.
    pub provider: String,
    /// Grows with each change; starts at the time of the sign-in.
    pub version: i64,
    /// None once it is of no more use.
    pub sealed: Option<String>,
}

/// The repository of kept identities.
#[derive(Debug, Clone, Copy)]
pub struct KeptIdentities<'a> {
    database: &'a Database,
    watcher: &'a Watcher,
}

impl<'a> KeptIdentities<'a> {
    pub(crate) fn new(database: &'a Database, watcher: &'a Watcher) -> Self {
        Self { database, watcher }
    }

    /// Stores what came with a sign-in, in place of what there may be, and
    /// tells every process. `issuer_session` is what the provider calls it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn put(self, kept: &KeptIdentity, issuer_session: Option<&str>) -> Result<(), StoreError> {
        let on = || StoreError::on("keep an identity");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(PUT)
                .bind(kept.user.as_uuid())
                .bind(&kept.provider)
                .bind(kept.version)
                .bind(kept.sealed.as_deref())
                .bind(issuer_session)
                .execute(open)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(())
    }

    /// Whose identity there is, by which provider, in which version, and
    /// whether it can still be shown.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn list(self) -> Result<Vec<(UserId, String, i64, bool)>, StoreError> {
        let rows: Vec<(Uuid, String, i64, bool)> =
            reading!(self.database, pool => sqlx::query_as(LIST).fetch_all(pool).await)
                .map_err(StoreError::on("list the kept identities"))?;
        let of_user =
            |(user, provider, version, usable)| (UserId::from_uuid(user), provider, version, usable);
        Ok(rows.into_iter().map(of_user).collect())
    }

    /// What `provider` gave for a user; none when nothing is kept.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn find(self, user: UserId, provider: &str) -> Result<Option<KeptIdentity>, StoreError> {
        let row: Option<(i64, Option<String>)> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(user.as_uuid()).bind(provider).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a kept identity"))?;
        Ok(row.map(|(version, sealed)| KeptIdentity { user, provider: provider.to_owned(), version, sealed }))
    }

    /// Lets `holder` alone renew this version until `until`. False when
    /// another one does, or it has changed.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn lease(
        self,
        kept: &KeptIdentity,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("lease a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        let leased = within!(&mut work, open => {
            sqlx::query(LEASE)
                .bind(kept.user.as_uuid())
                .bind(&kept.provider)
                .bind(kept.version)
                .bind(holder)
                .bind(until.as_micros())
                .bind(now.as_micros())
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(leased == 1)
    }

    /// Ends the lease of `holder`, who has nothing new.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn release(self, kept: &KeptIdentity, holder: &str) -> Result<(), StoreError> {
        let on = || StoreError::on("release a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(RELEASE)
                .bind(kept.user.as_uuid())
                .bind(&kept.provider)
                .bind(holder)
                .execute(open)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }

    /// Stores the next version, ends its lease, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn save(self, kept: &KeptIdentity, holder: &str) -> Result<Saved, StoreError> {
        let on = || StoreError::on("renew a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        let saved = within!(&mut work, open => {
            sqlx::query(SAVE)
                .bind(kept.user.as_uuid())
                .bind(&kept.provider)
                .bind(kept.version)
                .bind(holder)
                .bind(kept.sealed.as_deref())
                .execute(open)
                .await
                .map_err(on())?
                .rows_affected()
        });
        if saved == 0 {
            return Ok(Saved::Superseded);
        }
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(Saved::Done)
    }

    /// Makes what came with a browser session useless: its person signs out.
    /// What came with a later sign-in elsewhere stays.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn empty(self, user: UserId, provider: &str, session: SessionId) -> Result<(), StoreError> {
        let on = || StoreError::on("empty a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(EMPTY)
                .bind(user.as_uuid())
                .bind(provider)
                .bind(session.as_uuid())
                .execute(open)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(())
    }

    /// Erases what `provider` gave for a user, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn erase(self, user: UserId, provider: &str) -> Result<(), StoreError> {
        let on = || StoreError::on("erase a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(ERASE).bind(user.as_uuid()).bind(provider).execute(open).await.map_err(on())?;
        });
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(())
    }

    /// Erases what came with a session of `provider`, and tells every process.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn erase_of_session(self, provider: &str, issuer_session: &str) -> Result<(), StoreError> {
        let on = || StoreError::on("erase a kept identity");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, open => {
            sqlx::query(ERASE_OF_SESSION)
                .bind(provider)
                .bind(issuer_session)
                .execute(open)
                .await
                .map_err(on())?;
        });
        self.watcher.commit(work, Topic::Identities).await.map_err(on())?;
        Ok(())
    }
}
