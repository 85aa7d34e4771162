//! Names that every client accepts (MCP 2025-11-25, tools, "tool names", and
//! what clients make of them): `[A-Za-z0-9_-]`, at most 46 characters, still
//! distinct after `.` and `-` became `_` and case was folded.
//!
//! A name is a function of the server's prefix and the server's own name for
//! the thing, so it stays when another server joins. Only where two would be
//! the same does the later one get a suffix made from its own identity.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use trunkline_model::{ServerName, fold};

/// What clients leave of a name: VS Code cuts after 64 with its own prefix of 18.
pub(crate) const LONGEST: usize = 46;
/// What stands between a server's prefix and its own name.
pub(crate) const SEPARATOR: &str = "__";
/// `_` and six hexadecimal digits.
const SUFFIX: usize = 7;

/// The names given in one profile for one kind of thing.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// A name for `own` of `server`, shown under `prefix`. The first to ask
    /// for a name gets it.
    pub(crate) fn name(&mut self, server: &ServerName, prefix: &str, own: &str, shown: &str) -> String {
        let plain = joined(prefix, shown);
        if plain.len() <= LONGEST && self.taken.insert(fold(&plain)) {
            return plain;
        }
        let mut round = 0_u32;
        loop {
            let name = suffixed(&plain, server, own, round);
            if self.taken.insert(fold(&name)) {
                return name;
            }
            round += 1;
        }
    }

    /// Takes a name as it is: the profile shows one server as that server is.
    pub(crate) fn verbatim(&mut self, name: &str) {
        self.taken.insert(fold(name));
    }
}

fn joined(prefix: &str, shown: &str) -> String {
    let mut name = String::with_capacity(prefix.len() + SEPARATOR.len() + shown.len());
    if !prefix.is_empty() {
        name.push_str(prefix);
        name.push_str(SEPARATOR);
    }
    name.extend(shown.chars().map(|character| match character {
        legal if legal.is_ascii_alphanumeric() || matches!(legal, '_' | '-') => legal,
        _ => '_',
    }));
    name
}

fn suffixed(plain: &str, server: &ServerName, own: &str, round: u32) -> String {
    let identity = format!("{server}\0{own}\0{round}");
    let hash = digest(&SHA256, identity.as_bytes());
    let [first, second, third, ..] = hash.as_ref() else { return plain.to_owned() };
    let end = plain.len().min(LONGEST - SUFFIX);
    format!("{}_{first:02x}{second:02x}{third:02x}", &plain[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server(name: &str) -> ServerName {
        ServerName::new(name).unwrap()
    }

    #[test]
    fn a_plain_name_gets_its_prefix_and_nothing_else() {
        let mut names = Names::default();
        assert_eq!(names.name(&server("time"), "time", "get_time", "get_time"), "time__get_time");
        assert_eq!(names.name(&server("time"), "", "get_time", "get_time"), "get_time");
        assert_eq!(
            names.name(&server("time"), "tr", "admin.tools/list", "admin.tools/list"),
            "tr__admin_tools_list"
        );
    }

    #[test]
    fn the_later_of_two_equal_names_gets_a_suffix_of_its_own_identity() {
        let mut names = Names::default();
        assert_eq!(names.name(&server("a"), "", "get.time", "get.time"), "get_time");
        let second = names.name(&server("a"), "", "Get-Time", "Get-Time");
        assert!(second.starts_with("Get-Time_") && second.len() == "Get-Time_".len() + 6, "{second}");
        let mut others = Names::default();
        others.name(&server("z"), "", "get_time", "get_time");
        others.name(&server("a"), "", "get.time", "get.time");
        assert_eq!(
            others.name(&server("a"), "", "Get-Time", "Get-Time"),
            second,
            "the suffix does not depend on others"
        );
    }

    proptest! {
        #[test]
        fn every_name_is_legal_short_and_distinct(
            tools in prop::collection::vec(("[a-c]{1,2}", ".{0,80}"), 1..60)
        ) {
            let mut names = Names::default();
            let mut seen = HashSet::new();
            for (prefix, own) in &tools {
                let name = names.name(&server(prefix), prefix, own, own);
                prop_assert!(name.len() <= LONGEST && !name.is_empty());
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
                prop_assert!(seen.insert(fold(&name)));
            }
        }

        #[test]
        fn a_name_stays_when_another_server_joins(tools in prop::collection::vec("[a-z_.-]{1,60}", 1..20)) {
            let tools: HashSet<_> = tools.into_iter().collect();
            let mut tools: Vec<_> = tools.into_iter().collect();
            tools.sort();
            let name_all = |names: &mut Names, prefix: &str| -> Vec<String> {
                tools.iter().map(|own| names.name(&server(prefix), prefix, own, own)).collect()
            };
            let alone = name_all(&mut Names::default(), "b");
            let mut both = Names::default();
            name_all(&mut both, "a");
            prop_assert_eq!(name_all(&mut both, "b"), alone);
        }
    }
}
