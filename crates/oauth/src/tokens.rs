//! Access tokens of our authorization server: JWTs of RFC 9068, signed with
//! Ed25519, good for ten minutes at one resource.
//!
//! They are verified from memory: the public keys, and the grants that were
//! revoked lately, follow the database within a second and stay as they are
//! while it is away.

mod cache;
mod claims;
mod key_ring;
mod revoked;
mod rotation;

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use thiserror::Error;
use trunkline_model::{Clock, GrantId, Timestamp, TokenTarget, UserId};
use trunkline_storage::{Store, StoreError, VaultError};
use trunkline_web::Tasks;
use url::Url;

use crate::base;
use crate::mirror::{Mirror, Stored};
use cache::Cache;
use claims::Claims;
use key_ring::KeyRing;
use revoked::Revoked;
use trunkline_storage::Topic;

/// How long an access token is good. A revoked grant is remembered for longer.
pub const LIFETIME: Duration = Duration::from_mins(10);
/// A longer text is no token of ours.
const LONGEST: usize = 2048;
/// Clocks of two replicas may differ by this much.
const LEEWAY: Duration = Duration::from_secs(30);

/// What a token says, once it is known to be ours and good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub user: UserId,
    pub client: Arc<str>,
    pub grant: GrantId,
    pub target: TokenTarget,
    /// Scopes, with a space between.
    pub scope: Arc<str>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// The id of this token alone.
    pub id: String,
}

/// What a new token says.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub user: UserId,
    pub client: &'a str,
    pub grant: GrantId,
    pub target: &'a TokenTarget,
    pub scope: &'a str,
}

/// Why a text is not a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenFault {
    /// Not signed by this hub, or not a token at all.
    #[error("it is not an access token of this hub")]
    NotOurs,
    #[error("it has expired")]
    Expired,
    #[error("its grant has been revoked")]
    Revoked,
}

/// Why no token could be made, or no key.
#[derive(Debug, Error)]
pub enum SigningError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the vault does not open a signing key: {0}")]
    Vault(#[from] VaultError),
    #[error("the cryptographic library refused")]
    Refused,
    #[error("there is no signing key")]
    NoKey,
}

/// Issues access tokens and verifies them.
#[derive(Debug)]
pub struct Tokens {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    issuer: String,
    keys: Mirror<KeyRing>,
    revoked: Mirror<Revoked>,
    cache: Cache,
}

impl Tokens {
    /// Reads the keys, and makes the first one where there is none.
    ///
    /// # Errors
    /// [`SigningError`] when keys cannot be read or made.
    pub async fn load(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        public_url: &Url,
    ) -> Result<Arc<Self>, SigningError> {
        rotation::ensure_key(&store, clock.now()).await?;
        let stored_keys = Stored {
            store: Arc::clone(&store),
            what: "signing keys",
            topics: &[Topic::SigningKeys],
            read: KeyRing::read,
        };
        let stored_grants = Stored {
            store: Arc::clone(&store),
            what: "revoked grants",
            topics: &[Topic::Grants],
            read: Revoked::read,
        };
        Ok(Arc::new(Self {
            keys: Mirror::load(stored_keys).await?,
            revoked: Mirror::load(stored_grants).await?,
            issuer: base::without_slash(public_url).to_owned(),
            cache: Cache::default(),
            store,
            clock,
        }))
    }

    /// Takes over changes of keys and grants now.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; what is in memory stays.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.keys.catch_up().await?;
        self.revoked.catch_up().await
    }

    /// Follows changes, and rotates the keys, until the process stops.
    pub fn follow_changes(self: &Arc<Self>, tasks: &Tasks) {
        let tokens = Arc::clone(self);
        tasks.spawn_until_stop(async move { tokens.keys.follow_changes().await });
        let tokens = Arc::clone(self);
        tasks.spawn_until_stop(async move { tokens.revoked.follow_changes().await });
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        tasks.spawn_until_stop(async move { rotation::rotate_for_ever(&store, clock.as_ref()).await });
    }

    /// Our issuer: the public URL without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The URL of a resource, which is the audience of its tokens.
    pub fn audience(&self, target: &TokenTarget) -> String {
        format!("{}{}", self.issuer, target.path())
    }

    /// The public keys, as the JWK set of RFC 7517 section 5.
    pub fn public_keys(&self) -> serde_json::Value {
        self.keys.get().public_keys()
    }

    /// Signs a new token.
    ///
    /// # Errors
    /// [`SigningError`]; then there is none.
    pub fn issue(&self, wanted: &Wanted<'_>) -> Result<String, SigningError> {
        let now = self.clock.now();
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        let claims = Claims::new(&self.issuer, &self.audience(wanted.target), wanted, id, now);
        self.keys.get().sign(&claims, now, &self.store)
    }

    /// What a token for this resource says.
    ///
    /// # Errors
    /// [`TokenFault`], also for a token of another one.
    pub fn verify(&self, token: &str, target: &TokenTarget) -> Result<Arc<Verified>, TokenFault> {
        let verified = self.verify_for_any(token)?;
        if verified.target == *target { Ok(verified) } else { Err(TokenFault::NotOurs) }
    }

    /// What a token of this hub says, whichever of its resources it is for.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn verify_for_any(&self, token: &str) -> Result<Arc<Verified>, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::NotOurs);
        }
        let now = self.clock.now();
        let digest = cache::digest(token);
        let verified = match self.cache.get(&digest) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.read(token)?);
                if now < verified.expires_at {
                    self.cache.put(digest, Arc::clone(&verified), now);
                }
                verified
            }
        };
        if now >= verified.expires_at {
            return Err(TokenFault::Expired);
        }
        if self.is_revoked(verified.grant) {
            return Err(TokenFault::Revoked);
        }
        if verified.issued_at > now.plus(LEEWAY) {
            return Err(TokenFault::NotOurs);
        }
        Ok(verified)
    }

    /// Whether a grant has been revoked, as far as memory reaches: further
    /// back than any token that is still good.
    pub fn is_revoked(&self, grant: GrantId) -> bool {
        self.revoked.get().contains(grant)
    }

    fn read(&self, token: &str) -> Result<Verified, TokenFault> {
        let payload = self.keys.get().open(token).ok_or(TokenFault::NotOurs)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenFault::NotOurs)?;
        claims.verified(&self.issuer).ok_or(TokenFault::NotOurs)
    }
}

#[cfg(test)]
mod tests;
