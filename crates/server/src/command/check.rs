//! `trunkline check`.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::{self, Config, ConfigErrors, Problem};
use crate::output::{Outcome, Output, counted};

/// Check a configuration file and report every fault.
///
/// Fills in the environment and reads the files of secrets, as `serve` would; starts nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline check trunkline.yaml
  trunkline check trunkline.yaml --json | jq '.problems[].line'

Exit codes: 0 no fault, 1 faults were found.")]
pub(super) struct CheckArgs {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    file: String,
    ok: bool,
    problems: &'a [Problem],
    notes: &'a [String],
    servers: usize,
    profiles: usize,
}

pub(super) fn run(args: &CheckArgs, output: Output) -> Outcome {
    match config::load(&args.file) {
        Ok(config) => accepted(args, &config, output),
        Err(errors) => refused(&errors, output),
    }
}

fn accepted(args: &CheckArgs, config: &Config, output: Output) -> Outcome {
    let file = args.file.display().to_string();
    let (servers, profiles) = (config.servers.len(), config.profiles.len());
    let mut words = format!("{file}: ok ({}, {})", counted(servers, "server"), counted(profiles, "profile"));
    for note in &config.notes {
        words.push_str("\nnote: ");
        words.push_str(note);
    }
    output.result(words, &Report { file, ok: true, problems: &[], notes: &config.notes, servers, profiles });
    Outcome::Done
}

fn refused(errors: &ConfigErrors, output: Output) -> Outcome {
    let file = errors.file().display().to_string();
    let words = format!("{errors}\n{file}: {}", counted(errors.problems().len(), "fault"));
    output.result(
        words,
        &Report { file, ok: false, problems: errors.problems(), notes: &[], servers: 0, profiles: 0 },
    );
    Outcome::Negative
}
