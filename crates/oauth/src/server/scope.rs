//! Scopes. There are two: what a user may call is a matter of profiles and
//! their policy, not of tokens.

/// Calls the profile that the token is for.
pub(super) const MCP: &str = "mcp";
/// A refresh token, so that the user is not asked again.
pub(super) const OFFLINE_ACCESS: &str = "offline_access";
pub(super) const ALL: [&str; 2] = [MCP, OFFLINE_ACCESS];

/// What a client gets that asks for `asked`: scopes that are not ours are
/// left out (RFC 6749 section 3.3), and [`MCP`] is always there.
pub(super) fn granted(asked: Option<&str>) -> String {
    let asks_offline = asked.is_some_and(|asked| asked.split(' ').any(|scope| scope == OFFLINE_ACCESS));
    if asks_offline { ALL.join(" ") } else { MCP.to_owned() }
}

/// Whether every scope of `narrow` is one of `wide`.
pub(super) fn is_within(narrow: &str, wide: &str) -> bool {
    narrow
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .all(|scope| wide.split(' ').any(|other| other == scope))
}

/// `asked` without what is not ours, if all of that is within `wide`.
pub(super) fn narrowed(asked: &str, wide: &str) -> Option<String> {
    let ours: Vec<&str> = asked.split(' ').filter(|scope| ALL.contains(scope)).collect();
    let narrowed = if ours.is_empty() { MCP.to_owned() } else { ours.join(" ") };
    is_within(&narrowed, wide).then_some(narrowed)
}

pub(super) fn has_offline_access(scope: &str) -> bool {
    scope.split(' ').any(|scope| scope == OFFLINE_ACCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_left_out_and_one_is_always_there() {
        assert_eq!(granted(None), "mcp");
        assert_eq!(granted(Some("")), "mcp");
        assert_eq!(granted(Some("openid email")), "mcp");
        assert_eq!(granted(Some("openid offline_access")), "mcp offline_access");
    }

    #[test]
    fn a_scope_is_within_itself_and_never_wider() {
        assert!(is_within("mcp", "mcp offline_access"));
        assert!(!is_within("mcp offline_access", "mcp"));
        assert!(!is_within("admin", "mcp"));
    }
}
