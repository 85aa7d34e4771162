//! `trunkline schema`.

use crate::config;
use crate::output::{Outcome, Output};

/// Print the JSON Schema of the configuration file.
///
/// Editors complete and check the file with it: put a line like
/// `# yaml-language-server: $schema=trunkline.schema.json` at its top.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  trunkline schema > trunkline.schema.json")]
pub(super) struct SchemaArgs {}

pub(super) fn run(_args: &SchemaArgs, output: Output) -> Outcome {
    let schema = config::schema();
    output.raw(format_args!("{:#}", schema.as_value()));
    Outcome::Done
}
