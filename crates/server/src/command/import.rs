//! `trunkline import`: takes over the MCP servers that another configuration
//! has, with their secrets moved out of sight.

mod arguments;
mod clients;
mod codex;
mod format;
mod found;
mod merge;
mod plan;
mod registry;
mod report;
mod secrecy;
mod text;
mod write;
mod yaml;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use trunkline_model::{Clock, ProfileName, SystemClock};

use crate::output::{Outcome, Output};
use crate::replace_file;
use plan::{Existing, Plan};
use report::{Report, Source};

/// Take over MCP servers from another configuration.
///
/// Reads the files of Claude Desktop, Claude Code (.mcp.json, .claude.json), Cursor, VS Code, Gemini CLI, opencode
/// and Codex, and a registry's server.json. Shows what would be added; --write adds it, keeps comments and order
/// of the hub's configuration, and moves secrets into files of their own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline import ~/.cursor/mcp.json
  trunkline import .mcp.json .vscode/mcp.json --profile engineering --write")]
pub(super) struct ImportArgs {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The hub's configuration file; it is made when it is missing.
    #[arg(long, value_name = "FILE", default_value = "trunkline.yaml")]
    config: PathBuf,
    /// The profile that gets the servers; it is made when it is missing.
    #[arg(long, value_name = "NAME", default_value = "imported", value_parser = ProfileName::new)]
    profile: ProfileName,
    /// Change the configuration instead of showing what would be added.
    #[arg(long)]
    write: bool,
}

/// Runs the command. The answer is no when there was no server to take.
///
/// # Errors
/// A file cannot be read or is none of the known ones, or the configuration cannot be changed; it is then as
/// it was.
pub(super) fn run(args: &ImportArgs, output: Output) -> anyhow::Result<Outcome> {
    let report = import(args, &SystemClock)?;
    output.result(report.in_words(), &report);
    Ok(if report.is_empty() { Outcome::Negative } else { Outcome::Done })
}

fn import(args: &ImportArgs, clock: &dyn Clock) -> anyhow::Result<Report> {
    let before =
        replace_file::read(&args.config).with_context(|| format!("cannot read {}", args.config.display()))?;
    let text = before.as_deref().unwrap_or_default();
    let configuration = merge::parse(text).with_context(|| args.config.display().to_string())?;
    let existing = Existing {
        configuration: &configuration,
        profile: &args.profile,
        folder: args.config.parent().unwrap_or_else(|| Path::new("")),
    };
    let mut plan = Plan::default();
    let mut sources = Vec::new();
    for file in &args.files {
        let contents = read(file).with_context(|| format!("{} cannot be imported", file.display()))?;
        sources.push(Source { file: file.clone(), format: contents.format });
        plan.add(contents, &existing);
    }
    let additions = additions(&plan, &existing);
    let after =
        apply(text, &additions).with_context(|| format!("{} is left as it is", args.config.display()))?;
    let written = if args.write && after != text {
        Some(write::write(&args.config, before.as_deref(), &after, &plan, clock)?)
    } else {
        None
    };
    Ok(Report::new(args, sources, plan, &additions, existing.profile_entry().is_none(), written))
}

fn read(file: &Path) -> anyhow::Result<found::Contents> {
    let text = replace_file::read(file)?.context("there is no such file")?;
    format::read(file, text.strip_prefix('\u{feff}').unwrap_or(&text))
}

/// Mappings to add to, outermost first, and the entries for each.
type Additions = Vec<(Vec<String>, Map<String, Value>)>;

fn additions(plan: &Plan, existing: &Existing<'_>) -> Additions {
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let profile = existing.profile.as_str();
    let mut additions = vec![(path(&["servers"]), plan.servers.clone())];
    if !plan.selections.is_empty() {
        additions.push(if existing.profile_entry().is_some() {
            (path(&["profiles", profile, "servers"]), plan.selections.clone())
        } else {
            let entry = json!({ "auth": "api_key", "servers": plan.selections });
            (path(&["profiles"]), Map::from_iter([(profile.to_owned(), entry)]))
        });
    }
    additions.retain(|(_, entries)| !entries.is_empty());
    additions
}

fn apply(text: &str, additions: &Additions) -> Result<String, merge::MergeError> {
    additions.iter().try_fold(text.to_owned(), |text, (path, entries)| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        merge::insert(&text, &path, entries)
    })
}

#[cfg(test)]
mod tests;
