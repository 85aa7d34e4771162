//! The clients whose configuration is JSON: close relatives with names of their own.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::found::{Contents, Endpoint, Found};
use super::text::{Notation, Text};

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Gemini,
    Opencode,
}

/// Keys that say how the client treats a server, which is nothing to the hub.
const CLIENTS_OWN: [&str; 11] = [
    "type",
    "transport",
    "autoApprove",
    "alwaysAllow",
    "trust",
    "timeout",
    "description",
    "gallery",
    "version",
    "enabled",
    "startupTimeout",
];
const UNDERSTOOD: [&str; 14] = [
    "command",
    "args",
    "env",
    "environment",
    "cwd",
    "url",
    "httpUrl",
    "serverUrl",
    "headers",
    "disabled",
    "includeTools",
    "excludeTools",
    "auth",
    "oauth",
];

impl Family {
    fn format(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Gemini => "Gemini CLI",
            Self::Opencode => "opencode",
        }
    }

    fn notation(self) -> Notation {
        match self {
            Self::Gemini => Notation::DollarToo,
            Self::Opencode => Notation::Opencode,
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor | Self::VsCode => Notation::Braces,
        }
    }
}

/// Every server in the file.
pub(super) fn read(file: &Value, family: Family) -> Contents {
    let mut contents = Contents { format: family.format(), ..Contents::default() };
    let paths: &[&str] = match family {
        Family::VsCode => &["/servers", "/mcp/servers"],
        Family::Opencode => &["/mcp/servers", "/mcp"],
        _ => &["/mcpServers"],
    };
    if let Some(servers) = paths.iter().find_map(|path| file.pointer(path)?.as_object()) {
        read_servers(servers, family, &mut contents);
    }
    // ~/.claude.json keeps the servers of single projects too.
    for project in file.get("projects").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        if let Some(servers) = project.get("mcpServers").and_then(Value::as_object) {
            read_servers(servers, family, &mut contents);
        }
    }
    contents
}

fn read_servers(servers: &Map<String, Value>, family: Family, contents: &mut Contents) {
    for (name, server) in servers {
        let Some(fields) = server.as_object() else {
            contents.skip(name, "it is not an object");
            continue;
        };
        let flag = |key: &str| fields.get(key).and_then(Value::as_bool);
        if flag("disabled") == Some(true) || flag("enabled") == Some(false) {
            contents.skip(name, "it is switched off there");
            continue;
        }
        let reader = Reader { fields, notation: family.notation() };
        match reader.server(name) {
            Ok(found) => contents.found.push(found),
            Err(reason) => contents.skip(name, reason),
        }
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    notation: Notation,
}

impl Reader<'_> {
    fn server(&self, name: &str) -> Result<Found, String> {
        let mut found = Found::new(name, self.endpoint()?);
        found.include = self.strings("includeTools");
        found.exclude = self.strings("excludeTools");
        if self.fields.contains_key("envFile") {
            found.notes.push("its `envFile` is not read; write what the server needs into `env`".to_owned());
        }
        let unknown = self
            .fields
            .keys()
            .map(String::as_str)
            .filter(|key| !UNDERSTOOD.contains(key) && !CLIENTS_OWN.contains(key) && *key != "envFile");
        let unknown: Vec<&str> = unknown.collect();
        if !unknown.is_empty() {
            found.notes.push(format!("left out: {}", unknown.join(", ")));
        }
        Ok(found)
    }

    fn endpoint(&self) -> Result<Endpoint, String> {
        if let Some(url) = self.text_of(&["httpUrl", "url", "serverUrl"]) {
            let kind =
                self.fields.get("type").or_else(|| self.fields.get("transport")).and_then(Value::as_str);
            if kind.is_some_and(|kind| kind == "ws" || kind == "websocket") {
                return Err("it is reached by WebSocket, which is no transport of MCP".to_owned());
            }
            return Ok(Endpoint::Http {
                url,
                sse: kind == Some("sse"),
                headers: self.texts(&["headers"])?,
                oauth_scopes: self.oauth_scopes(),
            });
        }
        let (command, args) = match self.fields.get("command") {
            Some(Value::String(command)) => (command.as_str(), self.list("args")?),
            // opencode has program and arguments in one list.
            Some(Value::Array(_)) => {
                let mut words = self.list("command")?;
                if words.is_empty() {
                    return Err("its `command` is empty".to_owned());
                }
                let command = words.remove(0);
                (command, words)
            }
            _ => return Err("it has neither a `command` nor a `url`".to_owned()),
        };
        let read = |text: &str| Text::read(text, self.notation);
        Ok(Endpoint::Stdio {
            command: read(command),
            args: args.into_iter().map(read).collect(),
            env: self.texts(&["env", "environment"])?,
            cwd: self.text_of(&["cwd"]),
        })
    }

    /// Cursor's `auth` and VS Code's `oauth` both mean that the client signs in.
    fn oauth_scopes(&self) -> Option<Vec<String>> {
        let oauth = self.fields.get("auth").or_else(|| self.fields.get("oauth"))?.as_object()?;
        let scopes = oauth.get("scopes").and_then(Value::as_array);
        Some(scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn text_of(&self, keys: &[&str]) -> Option<Text> {
        let text = keys.iter().find_map(|key| self.fields.get(*key)?.as_str())?;
        Some(Text::read(text, self.notation))
    }

    fn strings(&self, key: &str) -> Vec<String> {
        let items = self.fields.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn list(&self, key: &str) -> Result<Vec<&str>, String> {
        let items = match self.fields.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(format!("its `{key}` is not a list")),
        };
        items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| format!("its `{key}` holds something else than texts")))
            .collect()
    }

    /// A mapping to texts; numbers and flags count as what they look like.
    fn texts(&self, keys: &[&str]) -> Result<IndexMap<String, Text>, String> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, self.fields.get(*key)?))) else {
            return Ok(IndexMap::new());
        };
        let Some(fields) = value.as_object() else { return Err(format!("its `{key}` is not an object")) };
        let mut texts = IndexMap::new();
        for (name, value) in fields {
            let text = match value {
                Value::String(text) => Text::read(text, self.notation),
                Value::Number(_) | Value::Bool(_) => Text::literal(value.to_string()),
                // VS Code: a variable that is to be absent.
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => return Err(format!("`{key}.{name}` is not a text")),
            };
            texts.insert(name.clone(), text);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_are_read_as_each_client_writes_them() {
        let vscode = json!({ "servers": {
            "gh": { "type": "http", "url": "https://x.example/mcp", "headers": { "Authorization": "Bearer ${input:gh}" } },
            "old": { "type": "sse", "url": "https://y.example/sse" },
            "local": { "command": "uvx", "args": ["a"], "env": { "N": 1, "GONE": null }, "envFile": ".env", "dev": {} }
        } });
        let contents = read(&vscode, Family::VsCode);
        assert_eq!(contents.found.len(), 3);
        assert!(matches!(&contents.found[1].endpoint, Endpoint::Http { sse: true, .. }));
        let Endpoint::Stdio { env, .. } = &contents.found[2].endpoint else {
            panic!("{:?}", contents.found[2])
        };
        assert_eq!(env.keys().collect::<Vec<_>>(), ["N"]);
        assert_eq!(contents.found[2].notes.len(), 2);

        let opencode = json!({ "mcp": {
            "a": { "type": "local", "command": ["npx", "-y", "a"], "environment": { "K": "{env:K}" } },
            "b": { "type": "remote", "url": "https://b.example/mcp", "enabled": false }
        } });
        let contents = read(&opencode, Family::Opencode);
        let Endpoint::Stdio { command, args, .. } = &contents.found[0].endpoint else {
            panic!("{contents:?}")
        };
        assert_eq!((command.as_literal(), args.len()), (Some("npx"), 2));
        assert_eq!(contents.skipped[0].name, "b");

        let gemini =
            json!({ "mcpServers": { "g": { "httpUrl": "https://$HOST/mcp", "includeTools": ["x"] } } });
        let contents = read(&gemini, Family::Gemini);
        assert_eq!(contents.found[0].include, ["x"]);
        assert_eq!(contents.found[0].variables()[0].name, "HOST");
    }

    #[test]
    fn a_server_that_makes_no_sense_is_skipped_with_the_reason() {
        let file = json!({ "mcpServers": {
            "a": 1, "b": {}, "c": { "command": "x", "args": "y" }, "d": { "command": "x", "args": [1] },
            "e": { "url": "wss://x", "type": "ws" }, "f": { "command": "x", "env": { "A": [] } },
            "g": { "command": "x", "disabled": true }
        } });
        let contents = read(&file, Family::ClaudeCode);
        assert!(contents.found.is_empty(), "{contents:?}");
        assert_eq!(contents.skipped.len(), 7);
    }

    #[test]
    fn servers_of_single_projects_are_found() {
        let file = json!({
            "mcpServers": { "a": { "command": "x" } },
            "projects": { "/src": { "mcpServers": { "b": { "command": "y" } } }, "/other": {} }
        });
        assert_eq!(read(&file, Family::ClaudeCode).found.len(), 2);
    }
}
