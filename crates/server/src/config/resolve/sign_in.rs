//! How people sign in: `sign_in`.

use trunkline_oauth::login::{Allow, IssuerSettings, RoleRule, SignInSettings};

use super::super::Config;
use super::super::file::{Issuer, SignIn};
use super::super::path::Path;
use super::Resolver;

const USUAL_SCOPES: [&str; 3] = ["openid", "profile", "email"];
const LONGEST_NAME: usize = 40;

impl Resolver<'_> {
    pub(super) fn sign_in(&mut self, sign_in: &SignIn, config: &mut Config) {
        let path = Path::root().key("sign_in").key("issuers");
        let mut settings = SignInSettings { password: sign_in.password.unwrap_or(true), issuers: Vec::new() };
        for (name, issuer) in &sign_in.issuers {
            let path = path.key(name);
            // It stands in URLs, and must not be taken for another way to sign in.
            let is_name = !name.is_empty()
                && name.len() <= LONGEST_NAME
                && !matches!(name.as_str(), "password" | "link" | "scim")
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !is_name {
                let help = "write one such as `corp`; `password`, `link` and `scim` mean something else";
                let message = "is not a name of lower-case letters, digits and `-`";
                self.refuse(&path, message, Some(help.to_owned()));
            }
            if let Some(issuer) = self.issuer(name, issuer, &path, config) {
                settings.issuers.push(issuer);
            }
        }
        if !settings.password && settings.issuers.is_empty() {
            self.note("nobody can sign in but by links: there are neither passwords nor issuers");
        }
        config.sign_in = settings;
    }

    fn issuer(
        &mut self,
        name: &str,
        issuer: &Issuer,
        path: &Path,
        config: &mut Config,
    ) -> Option<IssuerSettings> {
        let url = self.url(&issuer.issuer, &path.key("issuer"))?;
        if url.query().is_some() || url.fragment().is_some() {
            self.refuse(&path.key("issuer"), "has a query or a fragment", None);
        }
        if issuer.client_id.trim().is_empty() {
            self.refuse(&path.key("client_id"), "is empty", None);
        }
        // The operator wrote it: it may be inside.
        config.outbound.open_host_of(&url);
        let secret = &issuer.client_secret;
        let client_secret = secret.as_ref().map(|secret| self.secret(secret, &path.key("client_secret")));
        let usual = || USUAL_SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        let scopes: Vec<String> = issuer.scopes.clone().unwrap_or_else(usual);
        if !scopes.iter().any(|scope| scope == "openid") {
            self.refuse(&path.key("scopes"), "lacks `openid`, without which nobody is named", None);
        }
        Some(IssuerSettings {
            name: name.to_owned(),
            label: issuer.label.clone(),
            issuer: issuer.issuer.clone(),
            client_id: issuer.client_id.clone(),
            client_secret: client_secret.flatten(),
            scopes,
            groups_claim: issuer.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            login_claim: issuer.login_claim.clone(),
            roles: issuer
                .roles
                .iter()
                .map(|rule| RoleRule { claim: rule.claim.clone(), is: rule.is.clone(), role: rule.role })
                .collect(),
            default_role: issuer.default_role,
            allow: Allow { domains: issuer.allow.domains.clone(), groups: issuer.allow.groups.clone() },
            create_users: issuer.create_users.unwrap_or(true),
            adopt_users: issuer.adopt_users.unwrap_or(false),
            keeps_identity: false,
        })
    }
}
