//! Who is asking.

use serde::{Deserialize, Serialize};

use crate::{KeyId, ProfileName};

/// What a credential proved its bearer to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// Nobody in particular: a profile with `auth: none`.
    Anonymous,
    /// The bearer of an API key.
    Key { id: KeyId, name: String },
}

/// The identity that an upstream server sees: two callers with the same
/// identity may share a child or an upstream session, two others never do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(String);

impl Identity {
    /// The hub itself, where an operator looks at what servers offer.
    pub fn hub() -> Self {
        Self("hub".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is asking, in which profile. Only `oauth::resource` makes one, from
/// credentials alone; nothing in a path, body or other header has a say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    principal: Principal,
    profile: ProfileName,
}

impl Caller {
    /// For `oauth::resource` alone, once a credential has been verified for
    /// `profile` (`clippy.toml` forbids the call elsewhere).
    pub fn authenticated(principal: Principal, profile: ProfileName) -> Self {
        Self { principal, profile }
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The profile that the credential is bound to.
    pub fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// The identity that upstream servers see.
    pub fn identity(&self) -> Identity {
        Identity(match &self.principal {
            Principal::Anonymous => format!("anonymous@{}", self.profile),
            Principal::Key { id, .. } => id.to_string(),
        })
    }
}
