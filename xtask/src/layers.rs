//! The layers of `ARCHITECTURE.md`, held against what cargo resolves.

use anyhow::{Result, bail};

use crate::metadata::{Kind, Member, Workspace};

/// One row of the table in `ARCHITECTURE.md`.
struct Layer {
    package: &'static str,
    /// The rooms of ours that it may name.
    may: &'static [&'static str],
    /// What it may not name itself.
    never_names: &'static [&'static str],
    /// What it may not reach, through whatever lies between.
    never_reaches: &'static [&'static str],
}

const MODEL: &str = "trunkline-model";
const STORAGE: &str = "trunkline-storage";
const WEB: &str = "trunkline-web";
const OAUTH: &str = "trunkline-oauth";
const PROFILES: &str = "trunkline-profiles";
const MCP_HUB: &str = "trunkline-mcp-hub";
const LLM_GATEWAY: &str = "trunkline-llm-gateway";
const CONSOLE: &str = "trunkline-console";

const TESTS: &str = "trunkline-tests";
/// The feature of `trunkline-storage` with which it fails on demand.
const FAULTS: &str = "faults";

const HTTP: &[&str] = &["axum", "hyper", "http", "reqwest", "tower-http"];

const LAYERS: &[Layer] = &[
    Layer {
        package: MODEL,
        may: &[],
        never_names: &[],
        never_reaches: &["tokio", "futures-util", "axum", "hyper", "http", "reqwest", "sqlx"],
    },
    Layer { package: STORAGE, may: &[MODEL], never_names: &[], never_reaches: HTTP },
    Layer { package: WEB, may: &[MODEL], never_names: &[], never_reaches: &["sqlx"] },
    Layer { package: OAUTH, may: &[MODEL, STORAGE, WEB], never_names: &["sqlx"], never_reaches: &[] },
    Layer { package: PROFILES, may: &[MODEL, STORAGE], never_names: &["sqlx"], never_reaches: HTTP },
    Layer {
        package: MCP_HUB,
        may: &[MODEL, STORAGE, WEB, OAUTH, PROFILES],
        never_names: &["sqlx", "rmcp"],
        never_reaches: &[],
    },
    Layer {
        package: LLM_GATEWAY,
        may: &[MODEL, STORAGE, WEB, PROFILES],
        never_names: &["sqlx"],
        never_reaches: &[],
    },
    Layer {
        package: CONSOLE,
        may: &[MODEL, STORAGE, WEB, OAUTH, PROFILES, MCP_HUB, LLM_GATEWAY],
        never_names: &["sqlx"],
        never_reaches: &[],
    },
    Layer {
        // Its tests take the harness.
        package: "trunkline",
        may: &[MODEL, STORAGE, WEB, OAUTH, PROFILES, MCP_HUB, LLM_GATEWAY, CONSOLE, TESTS],
        never_names: &["sqlx"],
        never_reaches: &[],
    },
    Layer {
        package: TESTS,
        may: &[MODEL, STORAGE, WEB, OAUTH, PROFILES, MCP_HUB, LLM_GATEWAY, CONSOLE],
        never_names: &[],
        never_reaches: &[],
    },
    // The benchmark sees the hub from outside, as a client does.
    Layer { package: "trunkline-bench", may: &[], never_names: &[], never_reaches: &["sqlx"] },
    // Knows the protocol alone, as any server behind the hub; its tests take what the harness installs.
    Layer {
        package: "trunkline-reference-server",
        may: &[TESTS],
        never_names: &["sqlx"],
        never_reaches: &["sqlx"],
    },
    Layer { package: "xtask", may: &[], never_names: &[], never_reaches: &["tokio"] },
];

/// Holds the workspace against the table.
///
/// # Errors
/// Names every edge that the table does not have.
pub(crate) fn check() -> Result<()> {
    let wrong = violations(&Workspace::read()?);
    if !wrong.is_empty() {
        bail!("edges that ARCHITECTURE.md does not have:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn violations(workspace: &Workspace) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in &workspace.members {
        match LAYERS.iter().find(|layer| layer.package == member.name) {
            Some(layer) => wrong.extend(layer.violations(member, workspace)),
            None => wrong.push(format!("{} has no row in the table", member.name)),
        }
    }
    wrong
}

impl Layer {
    fn violations(&self, member: &Member, workspace: &Workspace) -> Vec<String> {
        let mut wrong = Vec::new();
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let ours = name.starts_with("trunkline");
            // A test may not climb either: two rooms that test each other are one room.
            if ours && !self.may.contains(&name) {
                wrong.push(format!("{} -> {name}", self.package));
            }
            // What makes things fail, and the harness, are in no program.
            let for_tests = name == TESTS || dependency.features.iter().any(|feature| feature == FAULTS);
            if dependency.kind != Kind::Development && for_tests {
                wrong.push(format!("{} -> {name}, outside of its tests", self.package));
            }
            if dependency.kind != Kind::Development && self.never_names.contains(&name) {
                wrong.push(format!("{} -> {name}", self.package));
            }
        }
        let ways = self.never_reaches.iter().filter_map(|name| workspace.way(member, name));
        wrong.extend(ways.map(|way| way.join(" -> ")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::workspace;

    #[test]
    fn the_workspace_keeps_to_its_layers() {
        check().unwrap();
    }

    #[test]
    fn what_makes_things_fail_is_in_tests_alone() {
        let mut workspace =
            workspace(&[("trunkline-oauth", &["trunkline-storage"]), ("trunkline-storage", &[])]);
        assert_eq!(violations(&workspace), Vec::<String>::new());
        workspace.members[0].dependencies[0].features.push(FAULTS.to_owned());
        assert_eq!(violations(&workspace), ["trunkline-oauth -> trunkline-storage, outside of its tests"]);
    }

    #[test]
    fn an_edge_that_points_up_is_named() {
        let workspace = workspace(&[("trunkline-web", &["trunkline-storage"]), ("trunkline-storage", &[])]);
        assert_eq!(violations(&workspace), ["trunkline-web -> trunkline-storage"]);
    }

    #[test]
    fn the_two_halves_do_not_know_each_other() {
        let workspace = workspace(&[
            ("trunkline-mcp-hub", &["trunkline-llm-gateway"]),
            ("trunkline-llm-gateway", &["trunkline-mcp-hub"]),
        ]);
        assert_eq!(
            violations(&workspace),
            ["trunkline-mcp-hub -> trunkline-llm-gateway", "trunkline-llm-gateway -> trunkline-mcp-hub"]
        );
    }

    #[test]
    fn what_lies_between_does_not_hide_an_edge() {
        let workspace =
            workspace(&[("trunkline-model", &["between"]), ("between", &["tokio"]), ("tokio", &[])]);
        assert_eq!(violations(&workspace), ["trunkline-model -> between -> tokio"]);
    }

    #[test]
    fn a_new_room_needs_a_row() {
        let workspace = workspace(&[("trunkline-attic", &[])]);
        assert_eq!(violations(&workspace), ["trunkline-attic has no row in the table"]);
    }
}
