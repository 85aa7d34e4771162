//! The protected resource (RFC 6750): a request's credential becomes a
//! [`Caller`], here and nowhere else.

mod credential;
mod key_ring;
mod refused;

use std::sync::Arc;

use http::HeaderMap;
use trunkline_model::{ApiKey, Caller, Clock, KeyOwner, Principal, ProfileAuth, ProfileName};
use trunkline_storage::{Store, StoreError};
use trunkline_web::Tasks;

pub use refused::Refused;

use crate::keys;
use crate::people::People;
use key_ring::KeyRing;

/// Knows every API key by its hash, and says who a request comes from.
///
/// Keys are in memory, so that a request costs no trip to the database and a
/// database that is away locks nobody out. Changes made by any process are
/// seen within a second.
#[derive(Debug)]
pub struct Resource {
    keys: KeyRing,
    people: Arc<People>,
    clock: Arc<dyn Clock>,
}

impl Resource {
    /// Reads all keys.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; without them nobody could be let in.
    pub async fn load(
        store: Arc<Store>,
        people: Arc<People>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = KeyRing::load(key_ring::stored(store), Arc::clone(&clock)).await?;
        Ok(Arc::new(Self { keys, people, clock }))
    }

    /// Takes over changes of keys now: a command that made one waits for this.
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be read; those in memory stay.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.people.catch_up().await?;
        self.keys.catch_up().await
    }

    /// Follows changes of keys until the process stops.
    pub fn follow_changes(self: &Arc<Self>, tasks: &Tasks) {
        let resource = Arc::clone(self);
        tasks.spawn_until_stop(async move { resource.keys.follow_changes().await });
    }

    /// Who sends a request with these headers to `profile`. A key is taken
    /// from `Authorization: Bearer` or `x-api-key`; where nobody is asked for
    /// one, one that is sent must still be good.
    ///
    /// # Errors
    /// [`Refused`] says why nobody is let in.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        profile: &ProfileName,
        auth: ProfileAuth,
    ) -> Result<Caller, Refused> {
        match (credential::presented(headers)?, auth) {
            (Some(key), _) => {
                let key = self.live_key(key).await?;
                if key.profile != *profile {
                    return Err(Refused::OtherProfile);
                }
                let principal =
                    Principal::Key { id: key.id, name: key.name.as_str().into(), owner: key.owner };
                Ok(caller(principal, profile))
            }
            (None, ProfileAuth::None) => Ok(caller(Principal::Anonymous, profile)),
            (None, ProfileAuth::ApiKey | ProfileAuth::Oauth) => Err(Refused::Missing),
        }
    }

    /// Whether a caller's credential is still good, from memory: for streams
    /// that stay open after their request was let in.
    pub fn is_still_good(&self, caller: &Caller) -> bool {
        match caller.principal() {
            Principal::Anonymous => true,
            Principal::Key { id, .. } => self
                .keys
                .by_id(*id)
                .is_some_and(|key| key.is_live(self.clock.now()) && self.owner_is_enabled(&key)),
            // No token is accepted yet; and neither a browser nor the control socket calls tools.
            Principal::User { .. } | Principal::Person { .. } | Principal::Local => false,
        }
    }

    async fn live_key(&self, text: &str) -> Result<Arc<ApiKey>, Refused> {
        let hash = keys::hash_if_well_formed(text).ok_or(Refused::Malformed)?;
        let key = match self.keys.known(&hash) {
            Some(key) => key,
            None => self.keys.look_for(&hash).await?,
        };
        if key.revoked_at.is_some() {
            return Err(Refused::Revoked);
        }
        if !key.is_live(self.clock.now()) {
            return Err(Refused::Expired);
        }
        if !self.owner_is_enabled(&key) {
            // Key and owner may both be a moment old.
            self.people.catch_up().await.map_err(|_| Refused::Unavailable)?;
            if !self.owner_is_enabled(&key) {
                return Err(Refused::OwnerDisabled);
            }
        }
        Ok(key)
    }

    fn owner_is_enabled(&self, key: &ApiKey) -> bool {
        match key.owner {
            Some(KeyOwner::User(user)) => self.people.enabled(user).is_some(),
            Some(KeyOwner::Team(_)) | None => true,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that verifies credentials")]
fn caller(principal: Principal, profile: &ProfileName) -> Caller {
    Caller::authenticated(principal, profile.clone())
}

#[cfg(test)]
mod tests;
