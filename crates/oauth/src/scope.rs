//! Scopes. A token opens its profile with [`MCP`]; what a profile keeps for
//! tokens that were given more has a scope of the profile's own.

/// Calls the profile that the token is for. Every token has it.
pub const MCP: &str = "mcp";
/// A refresh token, so that the user is not asked again.
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Those that no profile can call its own.
pub const OURS: [&str; 3] = [MCP, OFFLINE_ACCESS, ADMIN];
/// The admin API, as far as the user's role goes.
pub const ADMIN: &str = "admin";

/// A scope of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub name: String,
    /// What it allows, for the person who is asked.
    pub description: Option<String>,
}

/// Whether `text` can be the name of a scope (RFC 6749 section 3.3).
pub fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_legal)
}

/// The scopes that tokens for one resource can have.
#[derive(Debug, Clone)]
pub(crate) struct Scopes {
    /// What every token of the resource has.
    base: &'static str,
    own: Vec<Scope>,
}

impl Scopes {
    /// Those of a profile with the scopes `own`.
    pub(crate) fn of_profile(own: Vec<Scope>) -> Self {
        Self { base: MCP, own }
    }

    /// Those of the admin API.
    pub(crate) fn of_admin_api() -> Self {
        Self { base: ADMIN, own: Vec::new() }
    }

    /// What a client gets that asks for `asked`: what is unknown at the
    /// resource is left out (RFC 6749 section 3.3), and what every token has
    /// is there. The same scopes always give the same text.
    pub(crate) fn granted(&self, asked: &str) -> String {
        let mut granted = vec![self.base];
        let mut additional: Vec<&str> =
            asked.split(' ').filter(|asked| self.own.iter().any(|scope| scope.name == *asked)).collect();
        additional.sort_unstable();
        additional.dedup();
        granted.extend(additional);
        if has(asked, OFFLINE_ACCESS) {
            granted.push(OFFLINE_ACCESS);
        }
        granted.join(" ")
    }

    /// What [`granted`](Self::granted) would give, if all of it is within
    /// `wide` (RFC 6749 section 6).
    pub(crate) fn narrowed(&self, asked: &str, wide: &str) -> Option<String> {
        let narrowed = self.granted(asked);
        is_within(&narrowed, wide).then_some(narrowed)
    }

    /// All of `one` and all of `other`.
    pub(crate) fn union(&self, one: &str, other: &str) -> String {
        self.granted(&format!("{one} {other}"))
    }

    /// The resource's own among `scopes`, with what they allow.
    pub(crate) fn described(&self, scopes: &str) -> Vec<Scope> {
        self.own.iter().filter(|scope| has(scopes, &scope.name)).cloned().collect()
    }

    pub(crate) fn own(&self) -> &[Scope] {
        &self.own
    }
}

/// Whether every scope of `narrow` is one of `wide`.
pub(crate) fn is_within(narrow: &str, wide: &str) -> bool {
    narrow.split(' ').filter(|scope| !scope.is_empty()).all(|scope| has(wide, scope))
}

/// All of `scopes` but one.
pub(crate) fn without(scopes: &str, unwanted: &str) -> String {
    let kept: Vec<&str> = scopes.split(' ').filter(|scope| *scope != unwanted).collect();
    kept.join(" ")
}

pub(crate) fn has(scopes: &str, wanted: &str) -> bool {
    scopes.split(' ').any(|scope| scope == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Scopes {
        let own = ["deploy", "audit"].map(|name| Scope { name: name.to_owned(), description: None });
        Scopes::of_profile(own.into())
    }

    #[test]
    fn unknown_scopes_are_left_out_and_one_is_always_there() {
        assert_eq!(profile().granted(""), "mcp");
        assert_eq!(profile().granted("openid email admin"), "mcp");
        assert_eq!(profile().granted("offline_access openid"), "mcp offline_access");
        assert_eq!(
            profile().granted("offline_access deploy audit deploy"),
            "mcp audit deploy offline_access"
        );
        assert_eq!(Scopes::of_profile(Vec::new()).granted("deploy"), "mcp", "it is another profile's");
        assert_eq!(Scopes::of_admin_api().granted("mcp deploy"), "admin", "no profile is opened by it");
    }

    #[test]
    fn a_scope_is_within_itself_and_never_wider() {
        assert!(is_within("mcp", "mcp offline_access"));
        assert!(!is_within("mcp offline_access", "mcp"));
        assert!(!is_within("admin", "mcp"));
        assert_eq!(profile().narrowed("audit", "mcp audit deploy").as_deref(), Some("mcp audit"));
        assert_eq!(profile().narrowed("audit deploy", "mcp audit"), None);
        assert_eq!(profile().union("mcp audit", "deploy"), "mcp audit deploy");
    }

    #[test]
    fn a_name_has_the_characters_that_rfc_6749_allows() {
        assert!(is_name("deploy") && is_name("https://x.example/deploy#1"));
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\n"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
