//! From servers that were found to entries of the hub's configuration: names,
//! secrets, and what is there already.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use trunkline_model::{ProfileName, Secret, ServerName, fold};

use super::arguments;
use super::found::{Contents, Endpoint, Found, Skipped};
use super::secrecy::is_secret;
use super::text::Text;
use crate::config;

/// The folder of secret files, beside the configuration.
pub(super) const SECRETS_FOLDER: &str = "secrets";
/// Headers that the hub sets itself.
const HUBS_OWN_HEADERS: [&str; 7] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "mcp-protocol-version",
    "mcp-session-id",
];
/// The longest name of a server, in characters.
const LONGEST_NAME: usize = 40;

/// What an import comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Entries for `servers` that are not there yet.
    pub(super) servers: Map<String, Value>,
    /// Entries for the profile's `servers` that are not there yet.
    pub(super) selections: Map<String, Value>,
    pub(super) secrets: Vec<Moved>,
    pub(super) variables: Vec<NeededVariable>,
    pub(super) notes: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
}

/// A secret that does not stand in the configuration.
#[derive(Debug)]
pub(super) struct Moved {
    /// Where it stood, such as `github.env.GITHUB_TOKEN`.
    pub(super) place: String,
    pub(super) keeper: Keeper,
    pub(super) value: Secret,
}

/// Where a secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keeper {
    /// A file of its own; the path starts at the configuration's folder.
    File(PathBuf),
    /// A variable of the hub's environment, for places that take no file.
    Variable(String),
}

/// A variable that must be set before the hub starts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct NeededVariable {
    pub(super) name: String,
    pub(super) server: String,
    /// How the imported file wrote it.
    pub(super) was: String,
}

/// What there is already.
#[derive(Debug)]
pub(super) struct Existing<'a> {
    pub(super) configuration: &'a Value,
    pub(super) profile: &'a ProfileName,
    /// The configuration's folder.
    pub(super) folder: &'a Path,
}

impl Existing<'_> {
    fn servers(&self) -> Option<&Map<String, Value>> {
        self.configuration.get("servers")?.as_object()
    }

    /// The profile's selection; none when there is no such profile.
    pub(super) fn profile_entry(&self) -> Option<&Value> {
        self.configuration.get("profiles")?.get(self.profile.as_str())
    }

    fn selects(&self, server: &str) -> bool {
        self.profile_entry()
            .and_then(|profile| profile.get("servers"))
            .is_some_and(|servers| servers.get(server).is_some())
    }
}

impl Plan {
    pub(super) fn add(&mut self, contents: Contents, existing: &Existing<'_>) {
        self.skipped.extend(contents.skipped);
        for found in contents.found {
            let original = found.name.clone();
            if let Err(reason) = self.add_server(found, existing) {
                self.skipped.push(Skipped { name: original, reason });
            }
        }
    }

    fn add_server(&mut self, mut found: Found, existing: &Existing<'_>) -> Result<(), String> {
        tidy(&mut found)?;
        let (name, is_new) = self.name_for(&found, existing);
        if is_new {
            let mut secrets = Vec::new();
            let entry = entry(&found, &name, &mut |place, keeper, value| {
                secrets.push(Moved { place, keeper, value });
            });
            check(&name, &entry)?;
            self.keep_apart(&mut secrets, existing.folder);
            let entry = with_keepers(entry, &secrets);
            self.variables.extend(
                found.variables().into_iter().filter(|variable| variable.default.is_none()).map(|variable| {
                    NeededVariable {
                        name: variable.name.clone(),
                        server: name.to_string(),
                        was: variable.was.clone(),
                    }
                }),
            );
            self.servers.insert(name.to_string(), entry);
            self.secrets.extend(secrets);
        } else {
            self.notes.push(format!("{name} is in the configuration already"));
        }
        if !existing.selects(name.as_str()) {
            self.selections.insert(name.to_string(), selection(&found));
        }
        self.notes.extend(found.notes.iter().map(|note| format!("{name}: {note}")));
        Ok(())
    }

    /// A legal name that nobody has, or that of the same server.
    fn name_for(&mut self, found: &Found, existing: &Existing<'_>) -> (ServerName, bool) {
        let wanted = legal_name(&found.name);
        let core = core(found);
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let stem: String = wanted.chars().take(LONGEST_NAME - suffix.len()).collect();
            let Ok(name) = ServerName::new(&format!("{}{suffix}", stem.trim_end_matches(['_', '-']))) else {
                continue;
            };
            let folded = fold(name.as_str());
            let known = existing.servers().into_iter().flatten().chain(&self.servers);
            let mut same_name = known.filter(|(other, _)| fold(other) == folded);
            let is_new = match same_name.next() {
                None => true,
                Some((other, entry)) if other == name.as_str() && is_same(entry, &core) => false,
                Some(_) => continue,
            };
            if name.as_str() != found.name {
                self.notes.push(format!("{:?} is called {name} here", found.name));
            }
            return (name, is_new);
        }
    }

    /// Gives a secret another file when its own is taken by something else.
    fn keep_apart(&self, secrets: &mut [Moved], folder: &Path) {
        for secret in secrets {
            let Keeper::File(path) = &mut secret.keeper else { continue };
            let first = path.clone();
            for number in 2_u32.. {
                let taken_here = self.secrets.iter().any(|other| other.keeper == Keeper::File(path.clone()));
                let on_disk = std::fs::read_to_string(folder.join(&*path));
                let taken_there = match on_disk {
                    Ok(text) => text.trim_end() != secret.value.expose().trim_end(),
                    Err(error) => error.kind() != std::io::ErrorKind::NotFound,
                };
                if !taken_here && !taken_there {
                    break;
                }
                let mut name = first.clone().into_os_string();
                name.push(format!("-{number}"));
                *path = PathBuf::from(name);
            }
        }
    }
}

/// Takes out what stands for the system, not for the server.
fn tidy(found: &mut Found) -> Result<(), String> {
    match &mut found.endpoint {
        Endpoint::Stdio { command, args, .. } => {
            let word = |text: Option<&Text>| {
                text.and_then(Text::as_literal).unwrap_or_default().to_ascii_lowercase()
            };
            let program = word(Some(command)).replace('\\', "/");
            let program = program.rsplit('/').next().unwrap_or_default().trim_end_matches(".exe").to_owned();
            if program == "trunkline" && word(args.first()) == "proxy" {
                return Err("it is a way to a hub, not a server".to_owned());
            }
            if program == "cmd" && word(args.first()) == "/c" && args.len() > 1 {
                args.remove(0);
                *command = args.remove(0);
                found.notes.push("`cmd /c` is left out: the hub starts programs without a shell".to_owned());
            }
            if args.iter().take(2).any(|argument| word(Some(argument)).starts_with("mcp-remote")) {
                let note = "it only leads to a URL, which the hub can reach by itself: write `url` in place of `command`";
                found.notes.push(note.to_owned());
            }
        }
        Endpoint::Http { headers, .. } => {
            headers.retain(|name, _| !HUBS_OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        }
    }
    Ok(())
}

/// What makes two entries the same server.
fn core(found: &Found) -> Value {
    match &found.endpoint {
        Endpoint::Stdio { command, args, .. } => {
            json!({ "command": command.in_configuration(), "args": args.iter().map(Text::in_configuration).collect::<Vec<_>>() })
        }
        Endpoint::Http { url, .. } => json!({ "url": url.in_configuration() }),
    }
}

/// Whether `entry` of a configuration has this core; an argument that was a
/// secret stands there as a variable.
fn is_same(entry: &Value, core: &Value) -> bool {
    let args = |value: &Value| value.get("args").and_then(Value::as_array).cloned().unwrap_or_default();
    let (theirs, ours) = (args(entry), args(core));
    let same_argument =
        |(one, other): (&Value, &Value)| one == other || one.as_str().is_some_and(|text| text.contains("${"));
    entry.get("command") == core.get("command")
        && entry.get("url") == core.get("url")
        && theirs.len() == ours.len()
        && theirs.iter().zip(&ours).all(same_argument)
}

fn selection(found: &Found) -> Value {
    let mut tools = Map::new();
    for (key, names) in [("include", &found.include), ("exclude", &found.exclude)] {
        if !names.is_empty() {
            tools.insert(key.to_owned(), json!(names));
        }
    }
    if tools.is_empty() { json!({}) } else { json!({ "tools": tools }) }
}

type Keep<'a> = &'a mut dyn FnMut(String, Keeper, Secret);

/// The entry, with the number of its secret in the place of each.
fn entry(found: &Found, name: &ServerName, keep: Keep<'_>) -> Value {
    let mut fields = Map::new();
    match &found.endpoint {
        Endpoint::Stdio { command, args, env, cwd } => {
            fields.insert("command".to_owned(), json!(command.in_configuration()));
            if !args.is_empty() {
                fields.insert("args".to_owned(), json!(arguments::without_secrets(args, name, keep)));
            }
            if !env.is_empty() {
                fields.insert("env".to_owned(), secret_places(env, name, "env", keep));
            }
            if let Some(cwd) = cwd {
                fields.insert("cwd".to_owned(), json!(cwd.in_configuration()));
            }
        }
        Endpoint::Http { url, sse, headers, oauth_scopes } => {
            fields.insert("url".to_owned(), json!(url.in_configuration()));
            if *sse {
                fields.insert("transport".to_owned(), json!("sse"));
            }
            if !headers.is_empty() {
                fields.insert("headers".to_owned(), secret_places(headers, name, "headers", keep));
            }
            let sets_authorization =
                headers.keys().any(|header| header.eq_ignore_ascii_case("authorization"));
            if let Some(scopes) = oauth_scopes.as_ref().filter(|_| !sets_authorization) {
                let oauth = if scopes.is_empty() { json!({}) } else { json!({ "scopes": scopes }) };
                fields.insert("auth".to_owned(), json!({ "oauth": oauth }));
            }
        }
    }
    Value::Object(fields)
}

fn secret_places(
    texts: &indexmap::IndexMap<String, Text>,
    server: &ServerName,
    what: &str,
    keep: Keep<'_>,
) -> Value {
    let mut fields = Map::new();
    for (name, text) in texts {
        let written = match text.as_literal().filter(|_| is_secret(name, text)) {
            Some(secret) => {
                let file = Path::new(SECRETS_FOLDER).join(file_name(server, name));
                let place = format!("{server}.{what}.{name}");
                keep(place.clone(), Keeper::File(file), Secret::new(secret));
                mark(&place)
            }
            None => text.in_secret_place(),
        };
        fields.insert(name.clone(), json!(written));
    }
    Value::Object(fields)
}

/// Stands for a secret until it has its place.
pub(super) fn mark(place: &str) -> String {
    format!("\u{1}{place}\u{1}")
}

/// Puts in where each secret is kept.
fn with_keepers(entry: Value, secrets: &[Moved]) -> Value {
    match entry {
        Value::String(mut text) => {
            for secret in secrets {
                let reference = match &secret.keeper {
                    Keeper::File(path) => format!("file:{}", path.display()),
                    Keeper::Variable(name) => format!("${{{name}}}"),
                };
                text = text.replace(&mark(&secret.place), &reference);
            }
            Value::String(text)
        }
        Value::Array(items) => items.into_iter().map(|item| with_keepers(item, secrets)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, with_keepers(value, secrets))).collect()
        }
        other => other,
    }
}

/// Whether the hub would take the entry, were every variable set.
fn check(name: &ServerName, entry: &Value) -> Result<(), String> {
    let text = json!({ "servers": { name.as_str(): entry } }).to_string().replace("\\u0001", "1");
    let checked = config::parse(&text, Path::new(""), &|_| Some("1".to_owned()));
    checked.map(|_| ()).map_err(|errors| {
        let problems = errors.problems().iter().map(|problem| match &problem.help {
            Some(help) => format!("{} {}; {help}", problem.path, problem.message),
            None => format!("{} {}", problem.path, problem.message),
        });
        problems.collect::<Vec<_>>().join(", ")
    })
}

fn file_name(server: &ServerName, name: &str) -> String {
    let legal = |character: char| {
        if character.is_ascii_alphanumeric() || "-_".contains(character) { character } else { '-' }
    };
    format!("{server}-{}", name.chars().map(legal).collect::<String>())
}

/// The nearest name that [`ServerName`] takes, except for its length.
fn legal_name(name: &str) -> String {
    let mut legal = String::new();
    for character in name.chars() {
        let next = if character.is_ascii_alphanumeric() || character == '_' { character } else { '-' };
        let repeats = !next.is_ascii_alphanumeric() && legal.ends_with(['-', '_']);
        if !repeats && (next.is_ascii_alphanumeric() || !legal.is_empty()) {
            legal.push(next);
        }
    }
    let legal = legal.trim_end_matches(['-', '_']);
    if legal.is_empty() { "server".to_owned() } else { legal.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_a_legal_one() {
        for (name, legal) in [
            ("github", "github"),
            ("My Server (prod)", "My-Server-prod"),
            ("a__b", "a_b"),
            ("_x_", "x"),
            ("io.github/x.y", "io-github-x-y"),
            ("日本", "server"),
        ] {
            assert_eq!(legal_name(name), legal);
            assert!(ServerName::new(&legal_name(name)).is_ok(), "{name}");
        }
    }
}
