//! The benchmarks, on what would be published.

use anyhow::Result;

use crate::debian;
use crate::process::{self, cargo};

/// Builds the hub as it is published and hands it to the benchmark program.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    debian::install(debian::OF_BENCHMARKS)?;
    process::run(&mut cargo(["build", "--locked", "--profile", "dist", "--package", "trunkline"]))?;
    let mut bench = cargo(["run", "--locked", "--profile", "dist", "--package", "trunkline-bench", "--"]);
    process::run(bench.args(arguments))
}
