//! What cargo knows of the workspace and of everything it depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{cargo, output};

/// The packages of the workspace, and who depends on whom in the resolved tree.
pub(crate) struct Workspace {
    pub(crate) members: Vec<Member>,
    /// From a package's id to the ids it needs to be built and run; dev-dependencies are left out.
    needs: BTreeMap<String, BTreeSet<String>>,
    names: BTreeMap<String, String>,
}

/// One package of the workspace as its `Cargo.toml` declares it.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    id: String,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    /// How the code calls it: renamed or not, with `_` for `-`.
    pub(crate) identifier: String,
    pub(crate) kind: Kind,
    pub(crate) features: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Normal,
    Build,
    Development,
}

/// One platform's tree: uuid alone would bring an async runtime's crates for WebAssembly.
const PLATFORM: [&str; 2] = ["--filter-platform", "x86_64-unknown-linux-gnu"];

impl Workspace {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self> {
        let text = output(cargo(["metadata", "--format-version", "1", "--locked"]).args(PLATFORM))?;
        let document: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
        Self::parse(&document).context("cargo metadata has another shape than expected")
    }

    fn parse(document: &Value) -> Option<Self> {
        let inside: BTreeSet<&str> =
            document["workspace_members"].as_array()?.iter().filter_map(Value::as_str).collect();
        let mut members = Vec::new();
        let mut names = BTreeMap::new();
        for package in document["packages"].as_array()? {
            let id = package["id"].as_str()?;
            names.insert(id.to_owned(), package["name"].as_str()?.to_owned());
            if inside.contains(id) {
                members.push(Member::parse(package)?);
            }
        }
        let mut needs = BTreeMap::new();
        for node in document["resolve"]["nodes"].as_array()? {
            needs.insert(node["id"].as_str()?.to_owned(), needed(node)?);
        }
        Some(Self { members, needs, names })
    }

    /// The shortest way from `member` to the package called `wanted`, as names;
    /// `None` when it does not depend on it.
    pub(crate) fn way(&self, member: &Member, wanted: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut ahead = std::collections::VecDeque::from([member.id.as_str()]);
        while let Some(id) = ahead.pop_front() {
            if id != member.id && self.names.get(id).is_some_and(|name| name == wanted) {
                return Some(self.retrace(&came_from, id));
            }
            for next in self.needs.get(id).into_iter().flatten() {
                if next != &member.id && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, id);
                    ahead.push_back(next);
                }
            }
        }
        None
    }

    fn retrace(&self, came_from: &BTreeMap<&str, &str>, last: &str) -> Vec<String> {
        let mut way = Vec::new();
        let mut here = Some(last);
        while let Some(id) = here {
            way.extend(self.names.get(id).cloned());
            here = came_from.get(id).copied();
        }
        way.reverse();
        way
    }
}

impl Member {
    fn parse(package: &Value) -> Option<Self> {
        let directory = PathBuf::from(package["manifest_path"].as_str()?).parent()?.to_owned();
        let dependencies =
            package["dependencies"].as_array()?.iter().map(Dependency::parse).collect::<Option<_>>()?;
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            id: package["id"].as_str()?.to_owned(),
            directory,
            dependencies,
        })
    }
}

impl Dependency {
    fn parse(value: &Value) -> Option<Self> {
        let name = value["name"].as_str()?;
        let kind = match value["kind"].as_str() {
            None => Kind::Normal,
            Some("build") => Kind::Build,
            Some(_) => Kind::Development,
        };
        let identifier = value["rename"].as_str().unwrap_or(name).replace('-', "_");
        let features = value["features"].as_array().into_iter().flatten();
        let features = features.filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self { name: name.to_owned(), identifier, kind, features })
    }
}

fn needed(node: &Value) -> Option<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for dependency in node["deps"].as_array()? {
        let kinds = dependency["dep_kinds"].as_array()?;
        if kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")) {
            ids.insert(dependency["pkg"].as_str()?.to_owned());
        }
    }
    Some(ids)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace in which each name depends on the names beside it.
    pub(crate) fn workspace(edges: &[(&str, &[&str])]) -> Workspace {
        let package = |name: &str, needs: &[&str]| {
            let dependencies: Vec<Value> =
                needs.iter().map(|to| json!({"name": to, "kind": null, "rename": null})).collect();
            json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "dependencies": dependencies})
        };
        let node = |name: &str, needs: &[&str]| {
            let deps: Vec<Value> =
                needs.iter().map(|to| json!({"pkg": to, "dep_kinds": [{"kind": null}]})).collect();
            json!({"id": name, "deps": deps})
        };
        let members: Vec<&str> =
            edges.iter().map(|(name, _)| *name).filter(|name| name.starts_with("trunkline")).collect();
        let document = json!({
            "workspace_members": members,
            "packages": edges.iter().map(|(name, needs)| package(name, needs)).collect::<Vec<_>>(),
            "resolve": {"nodes": edges.iter().map(|(name, needs)| node(name, needs)).collect::<Vec<_>>()},
        });
        Workspace::parse(&document).unwrap()
    }

    #[test]
    fn the_way_names_each_step() {
        let workspace = workspace(&[("trunkline-a", &["b", "c"]), ("b", &["c"]), ("c", &["d"]), ("d", &[])]);
        let way = workspace.way(&workspace.members[0], "d").unwrap();
        assert_eq!(way, ["trunkline-a", "c", "d"]);
        assert!(workspace.way(&workspace.members[0], "e").is_none());
    }

    #[test]
    fn a_dev_dependency_is_no_need() {
        let node = json!({"id": "a", "deps": [
            {"pkg": "b", "dep_kinds": [{"kind": "dev"}]},
            {"pkg": "c", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
        ]});
        assert_eq!(needed(&node).unwrap(), BTreeSet::from(["c".to_owned()]));
    }
}
