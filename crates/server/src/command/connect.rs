//! `trunkline connect`: tells an MCP client of the hub, by a text to paste or
//! by an edit of the client's own configuration file.

mod client;
mod hub_url;
pub(crate) mod jsonc;
mod toml;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use trunkline_model::{Clock, ProfileName, Secret, ServerName, SystemClock};

use crate::output::{Outcome, Output};
use crate::{env, replace_file};
use client::{Change, Client, Connection, Credential, Surroundings};

/// Connect an MCP client to a profile of the hub.
///
/// Prints what to paste, or with --write edits the client's file: comments, order and other servers stay as
/// they are, a backup is left beside it, and doing it twice changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline connect claude-code --profile engineering
  trunkline connect cursor --profile engineering --key-env TRUNKLINE_KEY --write
  trunkline connect vscode --profile engineering --file .vscode/mcp.json --write")]
pub(super) struct ConnectArgs {
    /// The client to connect.
    #[arg(value_enum)]
    client: Client,
    /// The profile whose endpoint the client gets.
    #[arg(long, value_name = "NAME", value_parser = ProfileName::new)]
    profile: ProfileName,
    /// The hub's URL; without it, what the configuration says, or <http://127.0.0.1:7400>.
    #[arg(long)]
    url: Option<url::Url>,
    /// The hub's configuration file, to read its URL from.
    #[arg(long, value_name = "FILE", default_value = "trunkline.yaml", conflicts_with = "url")]
    config: PathBuf,
    /// An API key to write into the client's configuration; better is --key-env.
    #[arg(long, value_name = "tlk_…", value_parser = api_key, conflicts_with = "key_env")]
    key: Option<Secret>,
    /// The environment variable in which the client finds the API key.
    #[arg(long, value_name = "NAME", value_parser = variable_name)]
    key_env: Option<String>,
    /// Edit the client's file instead of printing what to paste.
    #[arg(long)]
    write: bool,
    /// The client's file, when it is not the usual one of this user.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// What the client calls the hub.
    #[arg(long, default_value = "trunkline", value_parser = ServerName::new)]
    name: ServerName,
}

/// What was done or is to be done.
#[derive(Debug, Serialize)]
struct Report {
    client: Client,
    profile: ProfileName,
    endpoint: String,
    file: PathBuf,
    /// What to put into the file, in the file's own format.
    snippet: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    written: Option<Written>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Written {
    change: Change,
    backup: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The hub's URL cannot be told, or the client's file cannot be read, understood or written; it is then
/// untouched.
pub(super) fn run(args: &ConnectArgs, output: Output) -> anyhow::Result<Outcome> {
    let report = connect(args, &surroundings(), &SystemClock)?;
    output.result(report.in_words(), &report);
    Ok(Outcome::Done)
}

fn connect(args: &ConnectArgs, place: &Surroundings, clock: &dyn Clock) -> anyhow::Result<Report> {
    let hub = match &args.url {
        Some(url) => url.clone(),
        None => hub_url::of_configuration(&args.config)?,
    };
    let connection = Connection {
        name: args.name.clone(),
        endpoint: hub_url::endpoint(&hub, &args.profile)?,
        credential: match (&args.key, &args.key_env) {
            (Some(key), _) => Credential::Key(key.clone()),
            (None, Some(name)) => Credential::Variable(name.clone()),
            (None, None) => Credential::None,
        },
        program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("trunkline")),
    };
    let file = args.file.clone().unwrap_or_else(|| args.client.file(place));
    let before = match replace_file::read(&file) {
        Ok(text) => text,
        Err(_) if !args.write => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let text = before.as_deref().unwrap_or_default();
    let entry = args.client.entry(&connection, &jsonc::parse(text).unwrap_or_default());
    let written = if args.write {
        let untouched = || format!("{} is left as it is", file.display());
        let (after, change) = entry.put_into(text).with_context(untouched)?;
        let backup = match change {
            Change::Unchanged => None,
            Change::Added | Change::Updated => {
                replace_file::replace(&file, before.as_deref(), &after, clock.now())
                    .with_context(untouched)?
            }
        };
        Some(Written { change, backup })
    } else {
        None
    };
    Ok(Report {
        client: args.client,
        profile: args.profile.clone(),
        endpoint: connection.endpoint.to_string(),
        snippet: entry.snippet(),
        add_command: args.client.add_command(&connection),
        link: args.client.link(&connection),
        notes: notes(args.client, &connection.credential, written.as_ref().map(|_| file.as_path())),
        file,
        written,
    })
}

/// What the person should know besides.
fn notes(client: Client, credential: &Credential, written: Option<&Path>) -> Vec<String> {
    let mut notes = Vec::new();
    match credential {
        Credential::None => notes.push(
            "No key is given: that is right for `auth: oauth` and `auth: none`; a profile with `auth: api_key` \
             needs --key or --key-env (make a key with `trunkline key create`)."
                .to_owned(),
        ),
        Credential::Key(_) => {
            if let Some(file) = written.filter(|file| others_can_read(file)) {
                notes.push(format!("Other users of this machine can read {}, and the key in it.", file.display()));
            }
            if client == Client::Codex {
                notes.push("With --key-env the key would stay out of Codex's configuration.".to_owned());
            }
        }
        Credential::Variable(name) => {
            notes.push(format!("{name} must be set where the client is started."));
            if client == Client::ClaudeDesktop {
                notes.push(
                    "Claude Desktop is not started from a shell: set the variable for the whole login session, \
                     or use --key."
                        .to_owned(),
                );
            }
        }
    }
    notes
}

#[cfg(unix)]
fn others_can_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_file: &Path) -> bool {
    false
}

impl Report {
    fn in_words(&self) -> String {
        let file = self.file.display();
        let mut lines = match &self.written {
            Some(Written { change: Change::Unchanged, .. }) => {
                vec![format!("{file} has the entry already; nothing was changed.")]
            }
            Some(written) => {
                let verb = if written.change == Change::Added { "Added to" } else { "Updated in" };
                let mut lines = vec![format!("{verb} {file}: {}", self.endpoint)];
                lines.extend(
                    written.backup.iter().map(|backup| format!("The old file is {}", backup.display())),
                );
                lines
            }
            None => self.ways(),
        };
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    }

    fn ways(&self) -> Vec<String> {
        let mut lines = vec![format!("Put this into {} (or let --write do it):", self.file.display())];
        lines.push(String::new());
        lines.push(self.snippet.clone());
        lines.push(String::new());
        for (what, text) in [("Or run:", &self.add_command), ("Or open:", &self.link)] {
            if let Some(text) = text {
                lines.extend([what.to_owned(), String::new(), format!("  {text}"), String::new()]);
            }
        }
        lines
    }
}

fn surroundings() -> Surroundings {
    let folder = |name| env::lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Surroundings {
        system: std::env::consts::OS.to_owned(),
        home: std::env::home_dir().unwrap_or_default(),
        app_data: folder("APPDATA"),
        xdg_config_home: folder("XDG_CONFIG_HOME"),
        claude_config_dir: folder("CLAUDE_CONFIG_DIR"),
        codex_home: folder("CODEX_HOME"),
    }
}

fn api_key(text: &str) -> Result<Secret, String> {
    if text.len() > "tlk_".len()
        && text.starts_with("tlk_")
        && text.chars().all(|character| character.is_ascii_graphic())
    {
        Ok(Secret::new(text))
    } else {
        Err("a key of the hub starts with tlk_".to_owned())
    }
}

/// Whether `text` can name an environment variable.
pub(crate) fn variable_name(text: &str) -> Result<String, String> {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
        Ok(text.to_owned())
    } else {
        Err("a variable's name has letters, digits and '_', and starts with no digit".to_owned())
    }
}

#[cfg(test)]
mod tests;
