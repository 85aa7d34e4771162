//! Each route of the hub is a door of the table, or is said to give nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::ALL;

/// Routes that hand nothing out and make nobody anybody.
const OTHERS: &[&str] = &[
    // Pages with a form or a link, and what leads to them.
    "GET /login",
    "GET /login/issuer/{name}",
    "GET /login/link/{link}",
    "GET /setup/{link}",
    "GET /device",
    "GET /oauth/device",
    "GET /connections",
    "GET /connections/{server}/connect",
    // They end something.
    "POST /logout",
    "POST /account/keys/{id}/revoke",
    "POST /account/sessions/{id}/revoke",
    "POST /connections/{server}/disconnect",
    "DELETE /mcp/{profile}",
    // Tokens of servers: nobody here sees them. Faults there: the tests of `oauth::client`.
    "GET /oauth/upstream/callback",
    // Let in by the same check as `POST /mcp/{profile}`.
    "GET /mcp/{profile}",
    "GET /mcp/{profile}/sse",
    "POST /mcp/{profile}/sse",
    // Let in by the same check as the other routes of the directory, from memory.
    "GET /scim/v2/Users/{id}",
    "PUT /scim/v2/Users/{id}",
    "PATCH /scim/v2/Users/{id}",
    "DELETE /scim/v2/Users/{id}",
    "GET /scim/v2/Groups",
    "POST /scim/v2/Groups",
    "GET /scim/v2/Groups/{id}",
    "PUT /scim/v2/Groups/{id}",
    "PATCH /scim/v2/Groups/{id}",
    "DELETE /scim/v2/Groups/{id}",
    "GET /scim/v2/ServiceProviderConfig",
    "GET /scim/v2/ResourceTypes",
    "GET /scim/v2/Schemas",
    // For everybody.
    "GET /",
    "GET /healthz",
    "GET /readyz",
    "GET /pages.css",
    "GET /oauth/jwks.json",
    "GET /oauth/client-metadata.json",
    "GET /.well-known/oauth-protected-resource/mcp/{profile}",
    "GET /.well-known/oauth-protected-resource/api/v1",
    "GET /api/openapi.json",
    // Operators: reading, ending, and what is no credential. Who may is the access matrix.
    "GET /api/v1/clients",
    "GET /api/v1/clients/{*id}",
    "PATCH /api/v1/clients/{*id}",
    "DELETE /api/v1/clients/{*id}",
    "GET /api/v1/connections",
    "POST /api/v1/connections/{server}/connect",
    "DELETE /api/v1/connections/{server}/{owner}",
    "GET /api/v1/grants",
    "DELETE /api/v1/grants/{id}",
    "GET /api/v1/hub",
    "GET /api/v1/keys",
    "DELETE /api/v1/keys/{id}",
    "GET /api/v1/profiles",
    "GET /api/v1/profiles/{name}/tools",
    "DELETE /api/v1/scim-token",
    "GET /api/v1/servers",
    "GET /api/v1/servers/{name}/logs",
    "GET /api/v1/sessions",
    "DELETE /api/v1/sessions/{id}",
    "GET /api/v1/teams",
    "POST /api/v1/teams",
    "DELETE /api/v1/teams/{id}",
    "PUT /api/v1/teams/{id}/members/{user}",
    "DELETE /api/v1/teams/{id}/members/{user}",
    "GET /api/v1/upstream-clients",
    "DELETE /api/v1/upstream-clients/{server}",
    "POST /api/v1/upstream-clients/{server}/pause",
    "POST /api/v1/upstream-clients/{server}/register",
    "POST /api/v1/upstream-clients/{server}/resume",
    "POST /api/v1/upstream-clients/{server}/rotate",
    "GET /api/v1/users",
    "GET /api/v1/users/{id}",
    "PATCH /api/v1/users/{id}",
    "DELETE /api/v1/users/{id}",
    "DELETE /api/v1/users/{id}/sessions",
    "POST /api/v1/audit/flush",
];

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
