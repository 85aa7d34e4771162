//! API keys: `tlk_…`, shown once, stored as a hash.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{KeyId, ProfileName, TeamId, Timestamp, UserId};

/// SHA-256 of a whole credential of ours: a key, a code, a token, a session's
/// cookie. Each has 256 random bits, so one unsalted round is enough and cheap
/// enough for every request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(…)")
    }
}

/// On whose behalf a key's bearer acts. Servers see the owner, not the key:
/// the keys of one user share that user's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    User(UserId),
    Team(TeamId),
}

/// One API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    /// What its maker called it.
    pub name: String,
    pub hash: TokenHash,
    /// The first characters of the key, so that a person can tell keys apart.
    pub hint: String,
    /// The profile the key is bound to.
    pub profile: ProfileName,
    /// None for a key that stands for itself alone.
    pub owner: Option<KeyOwner>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// When it last opened something, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// The secret before the newest one.
    pub previous: Option<PreviousSecret>,
}

/// A secret of a key that was rotated; it opens as much until its time is up,
/// so that whoever holds it has time to change over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousSecret {
    pub hash: TokenHash,
    pub until: Timestamp,
}

impl ApiKey {
    /// Whether a secret with this hash is one of the key's at `now`.
    pub fn is_opened_by(&self, hash: &TokenHash, now: Timestamp) -> bool {
        self.hash == *hash
            || self.previous.is_some_and(|previous| previous.hash == *hash && now < previous.until)
    }

    /// Whether the key opens anything at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
