//! The protected resource (RFC 6750): a request's credential becomes a
//! [`Caller`], here and nowhere else.

mod credential;
mod insufficient_scope;
mod key_ring;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use trunkline_model::{
    ApiKey, Caller, Clock, GrantId, KeyOwner, Members, Principal, ProfileAuth, ProfileName, TokenTarget, User,
};
use trunkline_storage::{Store, StoreError};
use trunkline_web::Tasks;

pub use insufficient_scope::insufficient_scope;
pub use refused::Refused;

use crate::keys;
use crate::people::People;
use crate::scope;
use crate::tokens::{TokenFault, Tokens, Verified};
use key_ring::KeyRing;

/// How old the written time of a key's last use gets, and how often such times are written.
const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// Knows every API key by its hash, and says who a request comes from.
///
/// Keys are in memory, so that a request costs no trip to the database and a
/// database that is away locks nobody out. Changes made by any process are
/// seen within a second.
#[derive(Debug)]
pub struct Resource {
    keys: KeyRing,
    people: Arc<People>,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
}

/// Whom a profile lets in.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    pub auth: ProfileAuth,
    /// None means everyone who can sign in.
    pub members: Option<&'a Members>,
}

/// A user who administers by an access token.
#[derive(Debug, Clone)]
pub struct Administrator {
    pub user: Arc<User>,
    /// The client's id.
    pub client: Arc<str>,
    pub grant: GrantId,
}

impl From<TokenFault> for Refused {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::NotOurs => Self::TokenNotOurs,
            TokenFault::Expired => Self::TokenExpired,
            TokenFault::Revoked => Self::TokenRevoked,
        }
    }
}

impl Resource {
    /// Reads all keys.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; without them nobody could be let in.
    pub async fn load(
        store: Arc<Store>,
        people: Arc<People>,
        tokens: Arc<Tokens>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = KeyRing::load(key_ring::stored(store), Arc::clone(&clock)).await?;
        Ok(Arc::new(Self { keys, people, tokens, clock }))
    }

    /// Takes over changes of keys now: a command that made one waits for this.
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be read; those in memory stay.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.people.catch_up().await?;
        self.tokens.catch_up().await?;
        self.keys.catch_up().await
    }

    /// Follows changes of keys until the process stops.
    pub fn follow_changes(self: &Arc<Self>, tasks: &Tasks) {
        let resource = Arc::clone(self);
        tasks.spawn_until_stop(async move { resource.keys.follow_changes().await });
    }

    /// Who sends a request with these headers to `profile`. A key is taken
    /// from `Authorization: Bearer` or `x-api-key`, an access token from the
    /// former alone and where the profile has `auth: oauth`; where nobody is
    /// asked for one, one that is sent must still be good.
    ///
    /// # Errors
    /// [`Refused`] says why nobody is let in.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        profile: &ProfileName,
        access: Access<'_>,
    ) -> Result<Caller, Refused> {
        let caller = match (credential::presented(headers)?, access.auth) {
            (Some(presented), ProfileAuth::Oauth) if presented.may_be_token => {
                let (principal, token) = self.token_bearer(presented.text, profile)?;
                caller(principal, profile).limited_to(Arc::clone(&token.scope))
            }
            (Some(presented), _) => caller(self.key_bearer(presented.text, profile).await?, profile),
            (None, ProfileAuth::None) => caller(Principal::Anonymous, profile),
            (None, ProfileAuth::ApiKey) => return Err(Refused::Missing),
            (None, ProfileAuth::Oauth) => return Err(Refused::NotSignedIn),
        };
        if self.admits(caller.principal(), access.members) { Ok(caller) } else { Err(Refused::NotMember) }
    }

    async fn key_bearer(&self, text: &str, profile: &ProfileName) -> Result<Principal, Refused> {
        let key = self.live_key(text).await?;
        if key.profile != *profile {
            return Err(Refused::OtherProfile);
        }
        self.keys.note_use(key.id);
        Ok(Principal::Key { id: key.id, name: key.name.as_str().into(), owner: key.owner })
    }

    /// From memory alone.
    fn token_bearer(
        &self,
        token: &str,
        profile: &ProfileName,
    ) -> Result<(Principal, Arc<Verified>), Refused> {
        let verified = self.tokens.verify_for_any(token).map_err(Refused::from)?;
        if !verified.target.is_profile(profile) {
            return Err(Refused::TokenOfOtherProfile);
        }
        let user = self.people.enabled(verified.user).ok_or(Refused::TokenRevoked)?;
        let principal = Principal::User {
            id: verified.user,
            name: user.login.as_str().into(),
            client: Arc::clone(&verified.client),
            grant: verified.grant,
        };
        Ok((principal, verified))
    }

    /// Who sends a request with these headers to the admin API by an access
    /// token for it; none when there is no such credential at all.
    ///
    /// # Errors
    /// [`Refused`]: there is one, and it is not good here. No key is.
    pub fn administrator(&self, headers: &HeaderMap) -> Result<Option<Administrator>, Refused> {
        let Some(presented) = credential::presented(headers)? else { return Ok(None) };
        if !presented.may_be_token {
            return Err(Refused::NotForAdminApi);
        }
        let verified = self.tokens.verify_for_any(presented.text).map_err(Refused::from)?;
        if verified.target != TokenTarget::AdminApi || !scope::has(&verified.scope, scope::ADMIN) {
            return Err(Refused::NotForAdminApi);
        }
        let user = self.people.enabled(verified.user).ok_or(Refused::TokenRevoked)?;
        Ok(Some(Administrator { user, client: Arc::clone(&verified.client), grant: verified.grant }))
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
            Principal::User { id, grant, .. } => {
                self.people.enabled(*id).is_some() && !self.tokens.is_revoked(*grant)
            }
            // Neither a browser nor the control socket calls tools.
            Principal::Person { .. } | Principal::Local => false,
        }
    }

    /// Whether a profile with these members is for this caller. Callers who
    /// are nobody's, anonymous ones and keys without an owner, are let in by
    /// the profile itself.
    pub fn admits(&self, principal: &Principal, members: Option<&Members>) -> bool {
        match principal {
            Principal::Anonymous | Principal::Key { owner: None, .. } => true,
            Principal::Key { owner: Some(KeyOwner::User(id)), .. }
            | Principal::User { id, .. }
            | Principal::Person { id, .. } => self.people.admits(members, *id),
            Principal::Key { owner: Some(KeyOwner::Team(id)), .. } => self.people.admits_team(members, *id),
            Principal::Local => false,
        }
    }

    /// Writes now and then when keys were last used, until the process stops.
    pub fn write_uses(self: &Arc<Self>, store: Arc<Store>, tasks: &Tasks) {
        let resource = Arc::clone(self);
        tasks.spawn_until_stop(async move {
            loop {
                tokio::time::sleep(WRITE_INTERVAL).await;
                resource.keys.write_uses(&store).await;
            }
        });
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
        let now = self.clock.now();
        if !key.is_live(now) || !key.is_opened_by(&hash, now) {
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
            Some(KeyOwner::Team(team)) => self.people.team(team).is_some(),
            None => true,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that verifies credentials")]
fn caller(principal: Principal, profile: &ProfileName) -> Caller {
    Caller::authenticated(principal, profile.clone())
}

#[cfg(test)]
mod tests;
