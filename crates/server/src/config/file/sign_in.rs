//! `sign_in`: how people sign in.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use trunkline_model::Role;

use super::SecretText;

/// How people sign in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct SignIn {
    /// Whether people sign in with a password of this hub. Default: true.
    pub(in super::super) password: Option<bool>,
    /// Identity providers (OpenID Connect) by name. Register `{public_url}/login/callback/{name}` there.
    pub(in super::super) issuers: IndexMap<String, Issuer>,
}

/// An identity provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Issuer {
    /// Its issuer identifier, a URL, exactly as its metadata has it.
    pub(in super::super) issuer: String,
    /// What is on the button of the sign-in page. Default: the name.
    pub(in super::super) label: Option<String>,
    /// As which client the hub is registered there.
    pub(in super::super) client_id: String,
    /// The client's secret; none for a public client.
    pub(in super::super) client_secret: Option<SecretText>,
    /// Default: `openid`, `profile`, `email`.
    pub(in super::super) scopes: Option<Vec<String>>,
    /// The claim with the person's groups, or the path to it with dots between. Default: `groups`.
    pub(in super::super) groups_claim: Option<String>,
    /// The claim with the person's sign-in name. Default: the e-mail address, where the provider says that it is verified.
    pub(in super::super) login_claim: Option<String>,
    /// Which claims give which roles, at each sign-in. The highest counts.
    #[serde(default)]
    pub(in super::super) roles: Vec<RoleRule>,
    /// The role of whom no rule fits. Default: `member`, where there are rules; else roles are left alone.
    pub(in super::super) default_role: Option<Role>,
    /// Who may sign in. Default: everybody whom the provider lets in.
    #[serde(default)]
    pub(in super::super) allow: AllowSignIn,
    /// Whether people who come the first time get an account. Default: true.
    pub(in super::super) create_users: Option<bool>,
    /// Whether a user with the same sign-in name, made by a directory or an administrator and never signed in before, is
    /// taken for the same person. Default: false.
    pub(in super::super) adopt_users: Option<bool>,
}

/// Who has `claim` with the value `is`, or with it among its values, has the role.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RoleRule {
    /// The claim, or the path to it with dots between.
    pub(in super::super) claim: String,
    /// The value.
    pub(in super::super) is: String,
    /// The role.
    pub(in super::super) role: Role,
}

/// Who may sign in; any one entry is enough.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct AllowSignIn {
    /// Domains of e-mail addresses that the provider says are verified.
    pub(in super::super) domains: Vec<String>,
    /// Groups, as the provider calls them.
    pub(in super::super) groups: Vec<String>,
}
