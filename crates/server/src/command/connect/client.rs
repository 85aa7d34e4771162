//! The clients that can be connected: where each keeps its configuration and
//! how one entry looks in it.

use std::path::PathBuf;

use base64::Engine as _;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value, json};
use toml_edit::Table;
use trunkline_model::{Secret, ServerName};
use url::Url;

use super::{jsonc, toml};

/// An MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
    Codex,
    Gemini,
    Opencode,
}

/// How the client proves who it is.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// The client finds out for itself (OAuth), or nobody asks.
    None,
    /// An API key, to be written into the client's configuration.
    Key(Secret),
    /// The name of an environment variable of the client that holds a key.
    Variable(String),
}

/// What a client is to be told.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// The hub's name in the client.
    pub(super) name: ServerName,
    pub(super) endpoint: Url,
    pub(super) credential: Credential,
    /// This binary, for clients that start a program.
    pub(super) program: PathBuf,
}

/// One entry of a client's configuration.
#[derive(Debug)]
pub(super) enum Entry {
    Json { path: Vec<String>, value: Value },
    Toml { outer: &'static str, name: String, table: Table },
}

/// What decides where configuration files are.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// As `std::env::consts::OS` has it.
    pub(super) system: String,
    pub(super) home: PathBuf,
    /// `%APPDATA%`, on Windows.
    pub(super) app_data: Option<PathBuf>,
    pub(super) xdg_config_home: Option<PathBuf>,
    pub(super) claude_config_dir: Option<PathBuf>,
    pub(super) codex_home: Option<PathBuf>,
}

impl Surroundings {
    /// Where desktop applications keep what belongs to the user.
    fn application_config(&self) -> PathBuf {
        match self.system.as_str() {
            "macos" => self.home.join("Library/Application Support"),
            "windows" => self.app_data.clone().unwrap_or_else(|| self.home.join("AppData/Roaming")),
            _ => self.xdg_config(),
        }
    }

    fn xdg_config(&self) -> PathBuf {
        self.xdg_config_home.clone().unwrap_or_else(|| self.home.join(".config"))
    }
}

impl Client {
    /// The user's own configuration file of this client.
    pub(super) fn file(self, place: &Surroundings) -> PathBuf {
        match self {
            Self::ClaudeCode => place.claude_config_dir.as_ref().unwrap_or(&place.home).join(".claude.json"),
            Self::ClaudeDesktop => place.application_config().join("Claude/claude_desktop_config.json"),
            Self::Cursor => place.home.join(".cursor/mcp.json"),
            Self::Vscode => place.application_config().join("Code/User/mcp.json"),
            Self::Codex => {
                place.codex_home.clone().unwrap_or_else(|| place.home.join(".codex")).join("config.toml")
            }
            Self::Gemini => place.home.join(".gemini/settings.json"),
            Self::Opencode => {
                let folder = place.xdg_config().join("opencode");
                let with_comments = folder.join("opencode.jsonc");
                if with_comments.exists() { with_comments } else { folder.join("opencode.json") }
            }
        }
    }

    /// The entry for `connection` in a file that now holds `current`.
    pub(super) fn entry(self, connection: &Connection, current: &Value) -> Entry {
        let url = connection.endpoint.as_str();
        let name = connection.name.to_string();
        let headers =
            self.authorization(&connection.credential).map(|value| json!({ "Authorization": value }));
        let with_headers = |mut fields: Map<String, Value>| {
            if let Some(headers) = headers.clone() {
                fields.insert("headers".to_owned(), headers);
            }
            Value::Object(fields)
        };
        let object = |pairs: &[(&str, &str)]| -> Map<String, Value> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
        };
        let (outer, value) = match self {
            Self::ClaudeCode => ("mcpServers", with_headers(object(&[("type", "http"), ("url", url)]))),
            Self::ClaudeDesktop => ("mcpServers", proxy_entry(connection)),
            Self::Cursor => ("mcpServers", with_headers(object(&[("url", url)]))),
            Self::Vscode => ("servers", with_headers(object(&[("type", "http"), ("url", url)]))),
            Self::Gemini => ("mcpServers", with_headers(object(&[("httpUrl", url)]))),
            Self::Opencode => ("mcp", with_headers(object(&[("type", "remote"), ("url", url)]))),
            Self::Codex => return Entry::Toml { outer: "mcp_servers", name, table: codex_table(connection) },
        };
        let mut path = vec![outer.to_owned()];
        if self == Self::Opencode && has_servers_inside(current) {
            path.push("servers".to_owned());
        }
        path.push(name);
        Entry::Json { path, value }
    }

    /// The value of the `Authorization` header, with a variable in the client's own notation.
    fn authorization(self, credential: &Credential) -> Option<String> {
        let key = match credential {
            Credential::None => return None,
            Credential::Key(key) => key.expose().to_owned(),
            Credential::Variable(name) => match self {
                Self::Cursor | Self::Vscode => format!("${{env:{name}}}"),
                Self::Opencode => format!("{{env:{name}}}"),
                _ => format!("${{{name}}}"),
            },
        };
        Some(format!("Bearer {key}"))
    }

    /// The client's own command that adds the entry, for a POSIX shell.
    pub(super) fn add_command(self, connection: &Connection) -> Option<String> {
        let url = connection.endpoint.as_str();
        let name = connection.name.as_str();
        let header = match &connection.credential {
            Credential::None => None,
            Credential::Key(key) => Some(quoted(&format!("Authorization: Bearer {}", key.expose()))),
            // The shell fills it in: some versions of these clients do not.
            Credential::Variable(variable) => Some(format!("\"Authorization: Bearer ${variable}\"")),
        };
        let header = header.map(|header| format!(" --header {header}")).unwrap_or_default();
        let url = quoted(url);
        match self {
            Self::ClaudeCode => {
                Some(format!("claude mcp add --transport http --scope user {name} {url}{header}"))
            }
            Self::Gemini => {
                Some(format!("gemini mcp add --transport http --scope user {name} {url}{header}"))
            }
            Self::Codex => match &connection.credential {
                Credential::None => Some(format!("codex mcp add {name} --url {url}")),
                Credential::Variable(variable) => {
                    Some(format!("codex mcp add {name} --url {url} --bearer-token-env-var {variable}"))
                }
                Credential::Key(_) => None,
            },
            Self::Vscode => {
                Some(format!("code --add-mcp {}", quoted(&self.named_entry(connection).to_string())))
            }
            Self::ClaudeDesktop | Self::Cursor | Self::Opencode => None,
        }
    }

    /// A link that opens the client and offers the entry. None for a
    /// connection with a key in it: links end up in histories and logs.
    pub(super) fn link(self, connection: &Connection) -> Option<String> {
        if matches!(connection.credential, Credential::Key(_)) {
            return None;
        }
        match self {
            Self::Cursor => {
                let Entry::Json { value, .. } = self.entry(connection, &Value::Null) else { return None };
                let config = base64::engine::general_purpose::STANDARD.encode(value.to_string());
                Some(format!(
                    "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
                    connection.name,
                    percent_encoded(&config)
                ))
            }
            Self::Vscode => Some(format!(
                "vscode:mcp/install?{}",
                percent_encoded(&self.named_entry(connection).to_string())
            )),
            _ => None,
        }
    }

    /// The entry with its name inside, as VS Code's command and link want it.
    fn named_entry(self, connection: &Connection) -> Value {
        let mut named = Map::new();
        named.insert("name".to_owned(), json!(connection.name));
        if let Entry::Json { value: Value::Object(fields), .. } = self.entry(connection, &Value::Null) {
            named.extend(fields);
        }
        Value::Object(named)
    }
}

/// A client that speaks stdio alone starts this binary as a bridge.
fn proxy_entry(connection: &Connection) -> Value {
    let url = connection.endpoint.as_str();
    let program = connection.program.to_string_lossy();
    match &connection.credential {
        Credential::None => json!({ "command": program, "args": ["proxy", url] }),
        Credential::Key(key) => {
            json!({ "command": program, "args": ["proxy", url], "env": { "TRUNKLINE_KEY": key.expose() } })
        }
        Credential::Variable(name) => {
            json!({ "command": program, "args": ["proxy", url, "--key-env", name] })
        }
    }
}

fn codex_table(connection: &Connection) -> Table {
    let mut table = Table::new();
    table.insert("url", toml_edit::value(connection.endpoint.as_str()));
    match &connection.credential {
        Credential::None => {}
        Credential::Key(key) => {
            let mut headers = toml_edit::InlineTable::new();
            headers.insert("Authorization", format!("Bearer {}", key.expose()).into());
            table.insert("http_headers", toml_edit::value(headers));
        }
        Credential::Variable(name) => {
            table.insert("bearer_token_env_var", toml_edit::value(name.as_str()));
        }
    }
    table
}

/// opencode 2 keeps its servers one level deeper, under `mcp.servers`.
fn has_servers_inside(current: &Value) -> bool {
    current
        .pointer("/mcp/servers")
        .is_some_and(|servers| servers.is_object() && servers.get("type").is_none())
}

fn percent_encoded(text: &str) -> String {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@%+=,".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Entry {
    /// The entry by itself, as the client's file would have it.
    pub(super) fn snippet(&self) -> String {
        match self {
            Self::Json { path, value } => {
                let nested = path.iter().rev().fold(value.clone(), |inner, key| json!({ key: inner }));
                format!("{nested:#}")
            }
            Self::Toml { outer, name, table } => {
                toml::put("", outer, name, table).unwrap_or_default().trim_end().to_owned()
            }
        }
    }

    /// `text` with the entry in it, and what that changed.
    ///
    /// # Errors
    /// The text is not what the client's format is, or has something else in the entry's place.
    pub(super) fn put_into(&self, text: &str) -> Result<(String, Change), EditError> {
        let (after, was_there) = match self {
            Self::Json { path, value } => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let after = jsonc::put(text, &path, value)?;
                (after, jsonc::get(&jsonc::parse(text)?, &path).is_some())
            }
            Self::Toml { outer, name, table } => {
                (toml::put(text, outer, name, table)?, toml::contains(text, outer, name))
            }
        };
        let change = match was_there {
            _ if after == text => Change::Unchanged,
            true => Change::Updated,
            false => Change::Added,
        };
        Ok((after, change))
    }
}

/// What an edit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Added,
    Updated,
    Unchanged,
}

/// Why a client's file is left alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error(transparent)]
    Jsonc(#[from] jsonc::JsoncError),
    #[error(transparent)]
    Toml(#[from] toml::TomlError),
}
