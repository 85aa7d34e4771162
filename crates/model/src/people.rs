//! Users, teams and roles.

use serde::{Deserialize, Serialize};

use crate::{SessionId, TeamId, Timestamp, UserId};

/// What a user may do in the hub as a whole. What a user may call is a matter
/// of profiles.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses profiles and manages their own connections, keys and sessions.
    Member,
    /// Reads everything that is configured and recorded, and changes nothing.
    Auditor,
    /// Runs servers, clients, connections and profiles.
    Operator,
    /// All of that, and people: users, teams, keys and roles below owner.
    Admin,
    /// All of that, and owners. There is always one.
    Owner,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Member, Self::Auditor, Self::Operator, Self::Admin, Self::Owner];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// May read what is configured and recorded, of everybody.
    pub const fn may_read(self) -> bool {
        !matches!(self, Self::Member)
    }

    /// May change servers, clients, connections and profiles.
    pub const fn may_operate(self) -> bool {
        matches!(self, Self::Operator | Self::Admin | Self::Owner)
    }

    /// May make, change and delete users with the role `other`, and act for
    /// them: who could make a sign-in link for an owner would be one.
    pub fn may_manage(self, other: Self) -> bool {
        self.may_administer() && other <= self
    }

    /// May change users, teams, keys and sessions of others.
    pub const fn may_administer(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}

/// Whether somebody can sign in as a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    /// A person, who signs in.
    Person,
    /// A service account: it has keys and OAuth clients, and nobody signs in as it.
    Service,
}

impl UserKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Person, Self::Service].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A person or a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub kind: UserKind,
    /// Unique, in lower case: an e-mail address or a plain name. What people
    /// type to sign in and what commands call the user by.
    pub login: String,
    /// For people.
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    /// From then on every credential of the user opens nothing.
    pub disabled_at: Option<Timestamp>,
}

impl User {
    /// The form in which a login is kept and compared: in lower case, 1 to 200
    /// characters, none of them blank or invisible; none when `text` is no login.
    pub fn login_from(text: &str) -> Option<String> {
        let login = text.trim().to_lowercase();
        let is_good = |character: char| !character.is_whitespace() && !character.is_control();
        (!login.is_empty() && login.chars().count() <= 200 && login.chars().all(is_good)).then_some(login)
    }
}

/// Users under one name, for membership of profiles and for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: TeamId,
    /// Unique.
    pub name: String,
    pub created_at: Timestamp,
}

/// Who may use a profile whose callers sign in. Any one of the lists is enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Members {
    /// Users, by what they sign in with.
    pub users: Vec<String>,
    /// Teams of this hub, by name.
    pub teams: Vec<String>,
    /// Groups, as the identity provider calls them.
    pub groups: Vec<String>,
}

/// A user in one browser, signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSession {
    pub id: SessionId,
    pub user: UserId,
    /// How the user proved who they are: `password`, `link`, or the name of an issuer.
    pub method: String,
    /// What the browser says it is, cut to 200 characters.
    pub user_agent: String,
    pub created_at: Timestamp,
    /// When it was used last, to some minutes.
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl BrowserSession {
    /// Whether the session still says who is there.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_name_and_grants_no_more_than_the_next() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.as_str()), Some(role));
        }
        assert_eq!(Role::named("root"), None);
        assert!(Role::Auditor.may_read() && !Role::Auditor.may_operate());
        assert!(Role::Operator.may_operate() && !Role::Operator.may_administer());
        assert!(!Role::Member.may_read());
        assert!(Role::Owner.may_manage(Role::Owner) && Role::Admin.may_manage(Role::Admin));
        assert!(!Role::Admin.may_manage(Role::Owner) && !Role::Operator.may_manage(Role::Member));
    }
}
