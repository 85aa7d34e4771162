//! `cargo xtask`: the one entry for people and CI.
//!
//! It needs nothing but Rust. What else a task needs it installs where it
//! can (`tools`, `packages`, `debian`), and says so where it cannot.

mod bench;
mod check;
mod debian;
mod deny;
mod deploy;
mod documents;
mod generate;
mod layers;
mod metadata;
mod packages;
mod process;
mod tools;
mod unused;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks, tests, generated files, benchmarks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// What CI runs: every check, then the tests
    Check {
        /// Only these steps
        #[arg(value_enum)]
        steps: Vec<check::Step>,
    },
    /// Runs the tests; what they need is installed first
    Test {
        /// Passed on to the test runner, such as a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Writes the generated files anew
    Gen,
    /// Measures the hub beside a direct connection and nginx
    Bench {
        /// Passed on to the benchmark program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Installs the pinned npm and PyPI packages of the tests
    Packages,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Check { steps } => check::run_steps(&steps),
        Task::Test { arguments } => verify::test(&arguments),
        Task::Gen => generate::write(),
        Task::Bench { arguments } => bench::run(&arguments),
        Task::Packages => packages::install(),
    }
}
