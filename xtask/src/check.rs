//! What CI runs, step by step.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::process::{cargo, command, run, say};
use crate::tools::TYPOS;
use crate::{deny, deploy, documents, generate, layers, unused, verify};

/// Quick ones first; the tests last, so that their summary closes the output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// rustfmt
    Format,
    /// The dependencies between the crates against ARCHITECTURE.md
    Layers,
    /// Dependencies that nothing names
    Unused,
    /// Spelling
    Typos,
    /// Licences, banned crates, sources, advisories
    Deny,
    /// clippy on everything, warnings denied
    Lint,
    /// Generated files are what the program would write now
    Generated,
    /// Dockerfile, docker-compose.yml and the configurations they use
    Deploy,
    /// Links, configurations and commands in the documents
    Documents,
    /// All tests
    Tests,
}

/// Runs the given steps, or all. A step that fails does not keep the others from running.
///
/// # Errors
/// Names the steps that failed.
pub(crate) fn run_steps(steps: &[Step]) -> Result<()> {
    let steps = if steps.is_empty() { Step::value_variants() } else { steps };
    let mut failed = Vec::new();
    for step in steps {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        say(&format!("\n=== {name}"));
        let begun = Instant::now();
        let result = step.run();
        let last = *step == Step::Tests && result.is_ok();
        match result {
            Ok(()) if last => {}
            Ok(()) => say(&format!("=== {name}: passed in {} s", begun.elapsed().as_secs())),
            Err(error) => {
                say(&format!("=== {name}: FAILED in {} s: {error:#}", begun.elapsed().as_secs()));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

impl Step {
    fn run(self) -> Result<()> {
        match self {
            Self::Format => format(),
            Self::Layers => layers::check(),
            Self::Unused => unused::check(),
            Self::Typos => run(&mut command(TYPOS.path()?)),
            Self::Deny => deny::check(),
            Self::Lint => run(&mut lint()),
            Self::Generated => generate::check(),
            Self::Deploy => deploy::check(),
            Self::Documents => documents::check(),
            Self::Tests => verify::test(&[]),
        }
    }
}

/// The fuzz targets are a workspace of their own.
fn format() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    run(&mut cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn lint() -> std::process::Command {
    cargo(["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}
