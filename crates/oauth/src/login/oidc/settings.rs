//! What an operator says of sign-in and of identity providers.

use trunkline_model::{Role, Secret};
use url::Url;

/// How people sign in.
#[derive(Debug, Clone)]
pub struct SignInSettings {
    /// With a local password.
    pub password: bool,
    /// Through identity providers, in the order of their buttons.
    pub issuers: Vec<IssuerSettings>,
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self { password: true, issuers: Vec::new() }
    }
}

/// One identity provider.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// What the operator calls it: in URLs, on the button, and as the source of groups.
    pub name: String,
    /// What is on the button instead.
    pub label: Option<String>,
    /// Exactly as the provider's metadata has it.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client.
    pub client_secret: Option<Secret>,
    pub scopes: Vec<String>,
    /// Where the groups are in the claims.
    pub groups_claim: String,
    /// Where the sign-in name is in the claims; none for a verified e-mail address.
    pub login_claim: Option<String>,
    pub roles: Vec<RoleRule>,
    /// For whom no rule fits. Without rules and this, roles are left alone.
    pub default_role: Option<Role>,
    pub allow: Allow,
    /// Whether people who come the first time get an account.
    pub create_users: bool,
    /// Whether a user with the same sign-in name whom a directory or an
    /// administrator made, and who never signed in otherwise, is taken for
    /// the same person.
    pub adopt_users: bool,
    /// Whether what proves a person is kept: servers are shown it.
    pub keeps_identity: bool,
}

impl IssuerSettings {
    /// The issuer as a URL.
    pub fn url(&self) -> Option<Url> {
        self.issuer.parse().ok()
    }

    /// What is on the button.
    pub fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

/// Who has `claim` with the value `is`, or with it among its values, has the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    pub claim: String,
    pub is: String,
    pub role: Role,
}

/// Who may sign in; without any entry, everybody whom the provider lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// Domains of verified e-mail addresses.
    pub domains: Vec<String>,
    pub groups: Vec<String>,
}
