//! Tells what kind of configuration a file is, by what is in it.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::super::connect::jsonc;
use super::clients::{self, Family};
use super::found::Contents;
use super::{codex, registry};

/// Reads `text`, the contents of `path`.
///
/// # Errors
/// It is neither JSON nor TOML, or nothing in it is known.
pub(super) fn read(path: &Path, text: &str) -> anyhow::Result<Contents> {
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    if is_toml {
        return codex::read(text);
    }
    let value = jsonc::parse(text).context("it cannot be read")?;
    let name = path.to_string_lossy().replace('\\', "/");
    if registry::is_server_json(&value) {
        return registry::read(&value);
    }
    match family(&value, &name) {
        Some(family) => Ok(clients::read(&value, family)),
        None => bail!(
            "none of the configurations that can be imported is in it. Looked for `mcpServers` (Claude Desktop, Claude \
             Code, Cursor, Gemini CLI), `servers` or `mcp.servers` (VS Code), `mcp` (opencode), `packages` or `remotes` \
             (a registry's server.json), and `[mcp_servers]` in a .toml file (Codex){}",
            keys_of(&value)
        ),
    }
}

fn family(value: &Value, name: &str) -> Option<Family> {
    let is_object = |path: &str| value.pointer(path).is_some_and(Value::is_object);
    let project_servers = || {
        let projects = value.get("projects").and_then(Value::as_object);
        projects.is_some_and(|projects| projects.values().any(|project| project.get("mcpServers").is_some()))
    };
    if is_object("/mcpServers") || project_servers() {
        let gemini = name.contains(".gemini/");
        let desktop = name.ends_with("claude_desktop_config.json");
        return Some(match (gemini, desktop, name.contains(".cursor/")) {
            (true, ..) => Family::Gemini,
            (_, true, _) => Family::ClaudeDesktop,
            (.., true) => Family::Cursor,
            _ => Family::ClaudeCode,
        });
    }
    if is_object("/servers") || is_object("/mcp/servers") && !name.contains("opencode") {
        return Some(Family::VsCode);
    }
    is_object("/mcp").then_some(Family::Opencode)
}

fn keys_of(value: &Value) -> String {
    let keys: Vec<&str> =
        value.as_object().into_iter().flat_map(|fields| fields.keys()).map(String::as_str).take(8).collect();
    if keys.is_empty() { String::new() } else { format!("; found {}", keys.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_of(path: &str, text: &str) -> &'static str {
        read(Path::new(path), text).unwrap().format
    }

    #[test]
    fn a_file_is_known_by_what_is_in_it() {
        let servers = r#"{ "mcpServers": { "a": { "command": "x" } } }"#;
        assert_eq!(format_of("a.json", servers), "Claude Code");
        assert_eq!(format_of("/x/claude_desktop_config.json", servers), "Claude Desktop");
        assert_eq!(format_of("C:\\Users\\x\\.cursor\\mcp.json", servers), "Cursor");
        assert_eq!(format_of("/x/.gemini/settings.json", servers), "Gemini CLI");
        assert_eq!(format_of("mcp.json", "{ \"servers\": {}, // none\n }"), "VS Code");
        assert_eq!(format_of("settings.json", r#"{ "mcp": { "servers": {} } }"#), "VS Code");
        assert_eq!(format_of("opencode.json", r#"{ "mcp": {} }"#), "opencode");
        assert_eq!(format_of("config.toml", "[mcp_servers.a]\ncommand = \"x\""), "Codex");
        assert_eq!(
            format_of(
                "server.json",
                r#"{ "name": "a/b", "version": "1.0.0", "remotes": [{ "type": "sse", "url": "https://x.example" }] }"#
            ),
            "registry server.json"
        );
    }

    #[test]
    fn what_is_none_of_them_is_named() {
        let error =
            read(Path::new("package.json"), r#"{ "name": "x", "scripts": {} }"#).unwrap_err().to_string();
        assert!(error.contains("`mcpServers`") && error.contains("found name, scripts"), "{error}");
        assert!(read(Path::new("x.json"), "nonsense").is_err());
        assert!(read(Path::new("x.toml"), "model = \"x\"").is_err());
    }
}
