//! Dependencies that are declared and never named.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::metadata::Workspace;
use crate::process::root;

/// Looks for each declared dependency's identifier in the sources of its package.
///
/// # Errors
/// Names every dependency that no source names, and every entry of the
/// workspace's table that no package takes.
pub(crate) fn check() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut unused = Vec::new();
    let mut taken = BTreeSet::new();
    for member in &workspace.members {
        let words = words_below(&member.directory)?;
        for dependency in &member.dependencies {
            taken.insert(dependency.name.clone());
            if !words.contains(&dependency.identifier) {
                unused.push(format!("{}: {}", member.name, dependency.name));
            }
        }
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let offered = table_keys(&manifest, "[workspace.dependencies]");
    unused.extend(
        offered.iter().filter(|name| !taken.contains(*name)).map(|name| format!("workspace: {name}")),
    );
    if !unused.is_empty() {
        bail!("declared and never used:\n  {}", unused.join("\n  "));
    }
    Ok(())
}

/// The identifiers in all Rust sources below `directory`.
fn words_below(directory: &Path) -> Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    let mut ahead = vec![directory.to_owned()];
    while let Some(here) = ahead.pop() {
        let entries = fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !skipped(&path) {
                    ahead.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                words.extend(identifiers(&source).map(str::to_owned));
            }
        }
    }
    Ok(words)
}

/// Installed packages and hidden folders hold no source of ours.
fn skipped(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        name.starts_with('.') || name == "node_modules" || name == "target"
    })
}

/// The identifiers outside of line comments.
fn identifiers(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .flat_map(|line| line.split(|character: char| !character.is_alphanumeric() && character != '_'))
        .filter(|word| !word.is_empty())
}

/// The keys of one table of a manifest that writes each entry on its own line.
fn table_keys(manifest: &str, header: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_comment_is_no_use() {
        let words: Vec<&str> =
            identifiers("use tokio::sync;\n// hyper would do too\n  serde_json!{}").collect();
        assert_eq!(words, ["use", "tokio", "sync", "serde_json"]);
    }

    #[test]
    fn only_the_asked_table_is_read() {
        let manifest =
            "[a]\nx = 1\n[workspace.dependencies]\n# why\ny = 2\nz-z = { version = 3 }\n\n[b]\nw = 4\n";
        assert_eq!(table_keys(manifest, "[workspace.dependencies]"), ["y", "z-z"]);
    }
}
