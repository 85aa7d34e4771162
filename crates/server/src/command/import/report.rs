//! What an import did or would do, for people and for scripts. No secret is in it.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::found::Skipped;
use super::plan::{Keeper, NeededVariable, Plan};
use super::write::{VARIABLES_FILE, Written};
use super::{Additions, ImportArgs, yaml};

/// One file that was read.
#[derive(Debug, Serialize)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) format: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    sources: Vec<Source>,
    config: PathBuf,
    profile: String,
    /// Whether the profile is new.
    new_profile: bool,
    /// The entries that are added, as YAML.
    yaml: String,
    servers: Map<String, Value>,
    secrets: Vec<MovedSecret>,
    variables: Vec<NeededVariable>,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
    written: Option<Written>,
}

#[derive(Debug, Serialize)]
struct MovedSecret {
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
}

impl Report {
    pub(super) fn new(
        args: &ImportArgs,
        sources: Vec<Source>,
        plan: Plan,
        additions: &Additions,
        new_profile: bool,
        written: Option<Written>,
    ) -> Self {
        let secrets = plan.secrets.iter().map(|secret| {
            let (file, variable) = match &secret.keeper {
                Keeper::File(path) => (Some(path.clone()), None),
                Keeper::Variable(name) => (None, Some(name.clone())),
            };
            MovedSecret { place: secret.place.clone(), file, variable }
        });
        Self {
            sources,
            config: args.config.clone(),
            profile: args.profile.to_string(),
            new_profile,
            yaml: as_yaml(additions),
            secrets: secrets.collect(),
            servers: plan.servers,
            variables: plan.variables,
            skipped: plan.skipped,
            notes: plan.notes,
            written,
        }
    }

    #[cfg(test)]
    pub(super) fn secrets(&self) -> Vec<&str> {
        self.secrets.iter().map(|secret| secret.place.as_str()).collect()
    }

    /// Whether nothing was found that could be taken or is there already.
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.notes.is_empty()
    }

    pub(super) fn in_words(&self) -> String {
        let mut lines: Vec<String> = self
            .sources
            .iter()
            .map(|source| format!("# {}: {}", source.file.display(), source.format))
            .collect();
        let config = self.config.display();
        match (&self.written, self.yaml.is_empty()) {
            (_, true) => lines.push(format!("Nothing is to be added to {config}.")),
            (None, false) => {
                lines.push(format!("# --write would add this to {config}:"));
                lines.push(self.yaml.trim_end().to_owned());
            }
            (Some(written), false) => {
                lines.push(format!("Added to {config}:"));
                lines.push(self.yaml.trim_end().to_owned());
                lines.extend(
                    written.backup.iter().map(|backup| format!("The old file is {}", backup.display())),
                );
            }
        }
        self.list(&mut lines);
        lines.extend(self.next_steps());
        lines.join("\n")
    }

    fn list(&self, lines: &mut Vec<String>) {
        let verb = if self.written.is_some() { "moved" } else { "would be moved" };
        lines.extend(self.secrets.iter().map(|secret| match (&secret.file, &secret.variable) {
            (Some(file), _) => format!("a secret {verb}: {} to {}", secret.place, file.display()),
            (None, variable) => format!(
                "a secret {verb}: {} to the variable {} in {VARIABLES_FILE}",
                secret.place,
                variable.as_deref().unwrap_or_default()
            ),
        }));
        lines.extend(self.variables.iter().map(|variable| {
            format!("to be set: {} for {} (was {})", variable.name, variable.server, variable.was)
        }));
        lines.extend(
            self.skipped.iter().map(|skipped| format!("skipped: {}: {}", skipped.name, skipped.reason)),
        );
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
    }

    fn next_steps(&self) -> Vec<String> {
        let Some(written) = &self.written else { return Vec::new() };
        let mut lines = Vec::new();
        if let Some(file) = &written.variables_file {
            lines.push(format!(
                "Before `trunkline serve`, load the variables: set -a; . ./{}; set +a",
                file.display()
            ));
        }
        if !written.problems.is_empty() {
            lines.push("Before the hub takes the configuration:".to_owned());
            lines.extend(written.problems.iter().map(|problem| format!("  {problem}")));
        }
        if self.new_profile {
            lines.push(format!("A key for the new profile: trunkline key create --profile {}", self.profile));
        }
        lines
    }
}

fn as_yaml(additions: &Additions) -> String {
    let mut whole = Map::new();
    for (path, entries) in additions {
        let mut place = &mut whole;
        for key in path {
            let inner = place.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(fields) => place = fields,
                _ => return String::new(),
            }
        }
        place.extend(entries.clone());
    }
    yaml::entries(&whole, 0)
}
