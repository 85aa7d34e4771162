//! Who is asking.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{GrantId, KeyId, KeyOwner, ProfileName, SessionId, UserId};

/// What a credential proved its bearer to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// Nobody in particular: a profile with `auth: none`.
    Anonymous,
    /// The bearer of an API key.
    Key {
        id: KeyId,
        name: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<KeyOwner>,
    },
    /// A user through an OAuth client, by an access token.
    User {
        id: UserId,
        /// What the user signs in with.
        name: Arc<str>,
        /// The client's id.
        client: Arc<str>,
        grant: GrantId,
    },
    /// A person in a browser, who administers or manages what is theirs.
    Person { id: UserId, name: Arc<str>, session: SessionId },
    /// Whoever can open the control socket of the hub.
    Local,
}

/// The identity that an upstream server sees: two callers with the same
/// identity may share a child or an upstream session, two others never do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

/// No id looks like this.
const HUB: &str = "hub";

impl Identity {
    /// The hub itself, where an operator looks at what servers offer.
    pub fn hub() -> Self {
        Self(HUB.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is asking, in which profile. Only `oauth::resource` makes one, from
/// credentials alone; nothing in a path, body or other header has a say.
/// Cheap to clone.
///
/// Two are equal when the same user asks through the same client, or with the
/// same key, in the same profile: a client that comes back with a token of
/// more scope goes on with its sessions and tasks.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Proved>);

#[derive(Debug, Clone)]
struct Proved {
    principal: Principal,
    profile: ProfileName,
    identity: Identity,
    /// With a space between; none opens all of the profile.
    scope: Option<Arc<str>>,
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        one.profile == other.profile
            && one.identity == other.identity
            && match (&one.principal, &other.principal) {
                (Principal::User { client, .. }, Principal::User { client: other, .. }) => client == other,
                (one, other) => one == other,
            }
    }
}

impl Eq for Caller {}

impl Caller {
    /// For `oauth::resource` alone, once a credential has been verified for
    /// `profile` (`clippy.toml` forbids the call elsewhere).
    pub fn authenticated(principal: Principal, profile: ProfileName) -> Self {
        let identity = Identity(match &principal {
            Principal::Anonymous => format!("anonymous@{profile}").into(),
            Principal::Key { owner: Some(KeyOwner::User(id)), .. }
            | Principal::User { id, .. }
            | Principal::Person { id, .. } => id.to_string().into(),
            Principal::Local => HUB.into(),
            Principal::Key { owner: Some(KeyOwner::Team(id)), .. } => id.to_string().into(),
            Principal::Key { id, owner: None, .. } => id.to_string().into(),
        });
        Self(Arc::new(Proved { principal, profile, identity, scope: None }))
    }

    /// The same caller by an access token with these scopes, which have a
    /// space between: it opens nothing more than before.
    #[must_use]
    pub fn limited_to(mut self, scope: Arc<str>) -> Self {
        Arc::make_mut(&mut self.0).scope = Some(scope);
        self
    }

    /// The scopes of the access token, with a space between; none for a
    /// credential that opens all of the profile.
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// Whether the credential opens what needs `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope().is_none_or(|own| own.split(' ').any(|own| own == scope))
    }

    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// The user on whose behalf the caller acts; none for anonymous callers
    /// and keys that are not a user's.
    pub fn user(&self) -> Option<UserId> {
        match self.principal() {
            Principal::User { id, .. }
            | Principal::Person { id, .. }
            | Principal::Key { owner: Some(KeyOwner::User(id)), .. } => Some(*id),
            Principal::Anonymous | Principal::Key { .. } | Principal::Local => None,
        }
    }

    /// The profile that the credential is bound to.
    pub fn profile(&self) -> &ProfileName {
        &self.0.profile
    }

    /// The identity that upstream servers see.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }
}
