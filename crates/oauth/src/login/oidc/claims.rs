//! What a provider says of a person, and what follows from it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use trunkline_model::{Role, User};

use super::settings::IssuerSettings;

/// Groups beyond this are not taken over.
const MOST_GROUPS: usize = 500;

/// The claims of a verified ID token, and of userinfo where it was asked.
#[derive(Debug, Clone, Default)]
pub struct Claims(pub(super) Map<String, Value>);

impl Claims {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_str()
    }

    /// A claim by its name, or by a path of names with dots between:
    /// `realm_access.roles`. A name that has dots itself, such as a URL, comes first.
    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let mut names = name.split('.');
        let first = self.0.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    /// Adds what userinfo says; the ID token is signed and comes first.
    pub(super) fn add(&mut self, userinfo: Map<String, Value>) {
        for (name, value) in userinfo {
            self.0.entry(name).or_insert(value);
        }
    }

    /// The text, or the texts of the list, that a claim has.
    fn texts(&self, name: &str) -> Vec<&str> {
        match self.find(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn groups(&self, settings: &IssuerSettings) -> BTreeSet<String> {
        let groups = self.texts(&settings.groups_claim).into_iter();
        groups.filter(|name| !name.is_empty()).take(MOST_GROUPS).map(ToOwned::to_owned).collect()
    }

    /// The highest role that a rule gives, or the one for everybody else;
    /// none when roles are not the provider's matter.
    pub(super) fn role(&self, settings: &IssuerSettings) -> Option<Role> {
        let fits = |claim: &str, is: &str| match self.find(claim) {
            Some(Value::Bool(value)) => value.to_string() == is,
            Some(Value::Number(value)) => value.to_string() == is,
            _ => self.texts(claim).contains(&is),
        };
        let given =
            settings.roles.iter().filter(|rule| fits(&rule.claim, &rule.is)).map(|rule| rule.role).max();
        let otherwise = (!settings.roles.is_empty()).then_some(Role::Member);
        given.or(settings.default_role).or(otherwise)
    }

    /// The e-mail address, where the provider says that it is the person's.
    pub(super) fn verified_email(&self) -> Option<&str> {
        let is_verified = match self.0.get("email_verified") {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(value)) => value == "true",
            _ => false,
        };
        self.text("email").filter(|_| is_verified)
    }

    /// What the person signs in as here.
    pub(super) fn login(&self, settings: &IssuerSettings) -> Option<String> {
        let text = match &settings.login_claim {
            Some(claim) => self.text(claim),
            None => self.verified_email(),
        };
        User::login_from(text?)
    }

    pub(super) fn name(&self) -> Option<String> {
        let name = self.text("name").or_else(|| self.text("preferred_username"))?.trim();
        let name: String = name.chars().filter(|character| !character.is_control()).take(200).collect();
        (!name.is_empty()).then_some(name)
    }

    /// Whether the provider's people with these claims may sign in.
    pub(super) fn are_allowed(&self, settings: &IssuerSettings) -> bool {
        let allow = &settings.allow;
        if allow.domains.is_empty() && allow.groups.is_empty() {
            return true;
        }
        let domain = self.verified_email().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        let has_domain = domain
            .is_some_and(|domain| allow.domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)));
        let groups = self.groups(settings);
        has_domain || allow.groups.iter().any(|group| groups.contains(group))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::settings::{Allow, RoleRule};
    use super::*;

    pub(crate) fn settings() -> IssuerSettings {
        IssuerSettings {
            name: "corp".to_owned(),
            label: None,
            issuer: "https://idp.example".to_owned(),
            client_id: "hub".to_owned(),
            client_secret: None,
            scopes: vec!["openid".to_owned()],
            groups_claim: "groups".to_owned(),
            login_claim: None,
            roles: Vec::new(),
            default_role: None,
            allow: Allow::default(),
            create_users: true,
            adopt_users: false,
            keeps_identity: false,
        }
    }

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(map) => Claims(map),
            _ => Claims::default(),
        }
    }

    #[test]
    fn the_highest_role_of_the_rules_that_fit_counts() {
        let rule =
            |claim: &str, is: &str, role| RoleRule { claim: claim.to_owned(), is: is.to_owned(), role };
        let settings = IssuerSettings {
            roles: vec![
                rule("groups", "ops", Role::Operator),
                rule("realm_access.roles", "hub-admin", Role::Admin),
                rule("staff", "true", Role::Auditor),
            ],
            ..settings()
        };
        let role = |value| claims(value).role(&settings);
        assert_eq!(role(json!({"groups": ["eng", "ops"]})), Some(Role::Operator));
        assert_eq!(
            role(json!({"groups": "ops", "realm_access": {"roles": ["hub-admin"]}})),
            Some(Role::Admin)
        );
        assert_eq!(role(json!({"staff": true})), Some(Role::Auditor));
        assert_eq!(role(json!({"groups": ["ops2"]})), Some(Role::Member), "what was given is taken back");
        assert_eq!(claims(json!({"groups": ["ops"]})).role(&self::settings()), None, "without rules");
    }

    #[test]
    fn only_a_verified_address_is_a_login_or_a_domain() {
        let settings = IssuerSettings {
            allow: Allow { domains: vec!["example.org".to_owned()], groups: vec!["guests".to_owned()] },
            ..settings()
        };
        let verified = claims(json!({"email": "Ann@Example.org", "email_verified": true}));
        assert_eq!(verified.login(&settings).as_deref(), Some("ann@example.org"));
        assert!(verified.are_allowed(&settings));
        for claim in [
            json!({"email": "ann@example.org"}),
            json!({"email": "ann@example.org", "email_verified": false}),
        ] {
            let unverified = claims(claim);
            assert_eq!(unverified.login(&settings), None);
            assert!(!unverified.are_allowed(&settings));
        }
        assert!(claims(json!({"groups": ["guests"]})).are_allowed(&settings));
        let other = claims(json!({"email": "a@evil-example.org", "email_verified": true}));
        assert!(!other.are_allowed(&settings));
        let named = IssuerSettings { login_claim: Some("upn".to_owned()), ..self::settings() };
        assert_eq!(claims(json!({"upn": "Bob"})).login(&named).as_deref(), Some("bob"));
    }
}
