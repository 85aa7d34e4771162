//! Devices that wait for a user to allow them (RFC 8628).

use std::time::Duration;

use trunkline_model::{Grant, GrantId, Timestamp, TokenHash, TokenTarget, UserId};
use uuid::Uuid;

use super::refresh::{self, RefreshToken};
use super::{grants, target};
use crate::database::{Database, reading, within};
use crate::error::StoreError;

const INSERT: &str = "INSERT INTO oauth_device (hash, user_code_hash, grant_id, client, profile, scope, state, user_id, \
     expires_at, polled_at) VALUES ($1, $2, $3, $4, $5, $6, 'pending', NULL, $7, NULL)";
const FIND: &str = "SELECT user_code_hash, grant_id, client, profile, scope, state, user_id, expires_at, polled_at \
     FROM oauth_device WHERE hash = $1";
const FIND_BY_USER_CODE: &str = "SELECT hash, grant_id, client, profile, scope, state, user_id, expires_at, polled_at \
     FROM oauth_device WHERE user_code_hash = $1";
const DECIDE: &str = "UPDATE oauth_device SET state = $2, user_id = $3 WHERE user_code_hash = $1 \
     AND state = 'pending' AND expires_at > $4";
const POLL: &str = "UPDATE oauth_device SET polled_at = $2 WHERE hash = $1";
const TAKE: &str = "UPDATE oauth_device SET state = 'used' WHERE hash = $1 AND state = 'allowed'";
const COUNT: &str = "SELECT COUNT(*) FROM oauth_device WHERE expires_at > $1 AND state = 'pending'";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, FIND_BY_USER_CODE, DECIDE, POLL, TAKE, COUNT];

type Row = (Vec<u8>, Uuid, String, String, String, String, Option<Uuid>, i64, Option<i64>);

/// What the user has said to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Nothing yet.
    Pending,
    Allowed(UserId),
    Denied,
    /// Yes, and the device has its tokens.
    Used,
}

/// One device's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Of the device code.
    pub hash: TokenHash,
    pub user_code_hash: TokenHash,
    /// The grant that it makes.
    pub grant: GrantId,
    pub client: String,
    pub target: TokenTarget,
    pub scope: String,
    pub state: DeviceState,
    pub expires_at: Timestamp,
    pub polled_at: Option<Timestamp>,
}

/// Whether a device asked as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    InTime,
    TooSoon,
}

/// The repository of devices that wait.
#[derive(Debug, Clone, Copy)]
pub struct Devices<'a> {
    database: &'a Database,
}

impl<'a> Devices<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Adds a device that waits.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the user code is in use.
    pub async fn insert(self, device: &Device) -> Result<(), StoreError> {
        let on = || StoreError::on("add a device");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(INSERT)
                .bind(device.hash.0.as_slice())
                .bind(device.user_code_hash.0.as_slice())
                .bind(device.grant.as_uuid())
                .bind(&device.client)
                .bind(device.target.as_str())
                .bind(&device.scope)
                .bind(device.expires_at.as_micros())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())
    }

    /// How many devices wait.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn count_pending(self, now: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = reading!(self.database, pool => {
            sqlx::query_scalar(COUNT).bind(now.as_micros()).fetch_one(pool).await
        })
        .map_err(StoreError::on("count the devices"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The device with this code.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find(self, hash: &TokenHash) -> Result<Option<Device>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND).bind(hash.0.as_slice()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a device"))?;
        row.map(|row| device(row, |user_code_hash| (*hash, user_code_hash))).transpose()
    }

    /// The device whose user code has this hash.
    ///
    /// # Errors
    /// [`StoreError`]: unavailable, or a damaged row.
    pub async fn find_by_user_code(self, hash: &TokenHash) -> Result<Option<Device>, StoreError> {
        let row: Option<Row> = reading!(self.database, pool => {
            sqlx::query_as(FIND_BY_USER_CODE).bind(hash.0.as_slice()).fetch_optional(pool).await
        })
        .map_err(StoreError::on("find a device"))?;
        row.map(|row| device(row, |device_hash| (device_hash, *hash))).transpose()
    }

    /// Takes the answer of `user` to a device that waits. False when none
    /// waits under that code any more.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn decide(
        self,
        user_code_hash: &TokenHash,
        user: UserId,
        allowed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("answer a device");
        let state = if allowed { "allowed" } else { "denied" };
        let mut work = self.database.begin().await.map_err(on())?;
        let decided = within!(&mut work, connection => {
            sqlx::query(DECIDE)
                .bind(user_code_hash.0.as_slice())
                .bind(state)
                .bind(user.as_uuid())
                .bind(now.as_micros())
                .execute(connection)
                .await
                .map_err(on())?
                .rows_affected()
        });
        work.commit().await.map_err(on())?;
        Ok(decided == 1)
    }

    /// Notes that a device asked, and says whether it had waited for `interval`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn poll(self, device: &Device, now: Timestamp, interval: Duration) -> Result<Poll, StoreError> {
        let on = || StoreError::on("note that a device asked");
        let mut work = self.database.begin().await.map_err(on())?;
        within!(&mut work, connection => {
            sqlx::query(POLL)
                .bind(device.hash.0.as_slice())
                .bind(now.as_micros())
                .execute(connection)
                .await
                .map_err(on())?;
        });
        work.commit().await.map_err(on())?;
        let waited = device.polled_at.is_none_or(|last| now.since(last) >= interval);
        Ok(if waited { Poll::InTime } else { Poll::TooSoon })
    }

    /// Uses up a device that was allowed and makes its grant. False when it
    /// had been used.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn redeem(
        self,
        hash: &TokenHash,
        grant: &Grant,
        refresh: Option<&RefreshToken>,
    ) -> Result<bool, StoreError> {
        let on = || StoreError::on("redeem a device code");
        let mut work = self.database.begin().await.map_err(on())?;
        let taken = within!(&mut work, connection => {
            sqlx::query(TAKE).bind(hash.0.as_slice()).execute(connection).await.map_err(on())?.rows_affected()
        });
        if taken == 0 {
            return Ok(false);
        }
        grants::insert(&mut work, grant).await.map_err(on())?;
        if let Some(refresh) = refresh {
            refresh::insert(&mut work, refresh).await.map_err(on())?;
        }
        work.commit().await.map_err(on())?;
        Ok(true)
    }
}

fn device(row: Row, hashes: impl FnOnce(TokenHash) -> (TokenHash, TokenHash)) -> Result<Device, StoreError> {
    const WHAT: &str = "a device";
    let (other_hash, grant, client, target_name, scope, state, user, expires, polled) = row;
    let (hash, user_code_hash) = hashes(super::hash(WHAT, other_hash)?);
    let state = match (state.as_str(), user) {
        ("pending", _) => DeviceState::Pending,
        ("allowed", Some(user)) => DeviceState::Allowed(UserId::from_uuid(user)),
        ("denied", _) => DeviceState::Denied,
        ("used", _) => DeviceState::Used,
        _ => {
            return Err(StoreError::Damaged { what: WHAT, detail: format!("{grant}: its state is unknown") });
        }
    };
    Ok(Device {
        hash,
        user_code_hash,
        grant: GrantId::from_uuid(grant),
        client,
        target: target(WHAT, &target_name)?,
        scope,
        state,
        expires_at: Timestamp::from_micros(expires),
        polled_at: polled.map(Timestamp::from_micros),
    })
}
