//! API keys: `tlk_…`, shown once, stored as a hash.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ProfileName, Timestamp};

/// The id of an API key; it names the key in lists, logs and the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Uuid);

impl KeyId {
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key_{}", self.0.simple())
    }
}

impl std::str::FromStr for KeyId {
    type Err = uuid::Error;

    /// Takes what `Display` prints; the `key_` may be left out.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text.strip_prefix("key_").unwrap_or(text)).map(Self)
    }
}

/// SHA-256 of a whole key. A key has 256 random bits, so one unsalted round
/// is enough and cheap enough for every request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash(…)")
    }
}

/// One API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    /// What its maker called it.
    pub name: String,
    pub hash: KeyHash,
    /// The first characters of the key, so that a person can tell keys apart.
    pub hint: String,
    /// The profile the key is bound to.
    pub profile: ProfileName,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether the key opens anything at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
