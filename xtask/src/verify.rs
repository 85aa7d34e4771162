//! The tests, with what they need.

use std::process::Command;

use anyhow::Result;

use crate::process::{cargo, command, requires_all, run, say};
use crate::tools::NEXTEST;
use crate::{debian, packages};

/// Builds the binary that the integration tests start, then runs all tests.
/// The runner's summary is the last thing printed.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    debian::install(debian::OF_TESTS)?;
    if let Err(error) = packages::install() {
        if requires_all() {
            return Err(error);
        }
        say(&format!("tests on npm and PyPI packages will be skipped: {error:#}"));
    }
    build()?;
    run(&mut runner(arguments))
}

/// The program that tests and checks start, as `cargo build` makes it.
pub(crate) fn build() -> Result<()> {
    run(&mut cargo(["build", "--locked", "--package", "trunkline"]))
}

fn runner(arguments: &[String]) -> Command {
    let mut runner = match NEXTEST.path() {
        Ok(nextest) => {
            let mut nextest = command(nextest);
            nextest.args(["nextest", "run"]);
            nextest
        }
        Err(error) => {
            say(&format!("no cargo-nextest ({error:#}): cargo test runs the tests"));
            cargo(["test"])
        }
    };
    runner.args(["--workspace", "--locked"]).args(arguments);
    runner
}
