//! Each route of the hub is a door of the table, or is said to give nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::ALL;

/// Routes that make nobody anybody and hand nothing out, and what they do.
const OTHERS: &[&str] = &[];

#[test]
fn every_route_is_a_door_or_gives_nothing() -> Result<()> {
    let mut known: BTreeSet<String> =
        ALL.iter().flat_map(|doors| doors.iter()).map(|door| door.route.to_owned()).collect();
    known.extend(OTHERS.iter().map(|route| (*route).to_owned()));
    let there = routes()?;
    let unknown: Vec<&String> = there.difference(&known).collect();
    ensure!(unknown.is_empty(), "routes without a row: {unknown:#?}");
    let gone: Vec<&String> = known.difference(&there).collect();
    ensure!(gone.is_empty(), "rows without a route: {gone:#?}");
    Ok(())
}

/// `METHOD /path` of every route: those of the admin API, and those that the
/// sources of the other rooms name.
fn routes() -> Result<BTreeSet<String>> {
    let admin = trunkline_console::routes();
    let mut routes: BTreeSet<String> =
        admin.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for room in ["oauth", "mcp-hub", "server", "console"] {
        for file in sources(&crates.join(room).join("src"))? {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for part in code.split(".route(").skip(1) {
                routes.extend(routes_in(part));
            }
        }
    }
    ensure!(routes.len() > 60, "the sources name their routes otherwise: {routes:?}");
    Ok(routes)
}

/// The routes of one `.route("/path", get(…).post(…))`, after its bracket.
fn routes_in(part: &str) -> Vec<String> {
    let mut depth = 1;
    let end = part.find(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        depth == 0
    });
    let call = &part[..end.unwrap_or(part.len())];
    let Some(path) = call.split('"').nth(1).filter(|path| path.starts_with('/')) else { return Vec::new() };
    let handlers = call.split_once(',').map_or("", |(_, handlers)| handlers);
    let methods =
        [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("patch(", "PATCH"), ("delete(", "DELETE")];
    let here = methods.iter().filter(|(call, _)| {
        handlers.match_indices(call).any(|(at, _)| {
            !handlers[..at]
                .ends_with(|before: char| before == ':' || before == '_' || before.is_alphanumeric())
        })
    });
    here.map(|(_, method)| format!("{method} {path}")).collect()
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_none_or(|name| name != "tests.rs")
        {
            found.push(path);
        }
    }
    Ok(found)
}
