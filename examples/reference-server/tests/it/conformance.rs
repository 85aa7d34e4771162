//! The official conformance suite: its scored scenarios and the others.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use trunkline_tests::packages::Packages;
use trunkline_tests::process::run;

use crate::http_server::HttpServer;

/// The whole suite takes about half a minute.
const LONGEST: Duration = Duration::from_mins(5);

/// Runs the suite, and gives what it printed. It ends with a failure when a scored scenario fails.
async fn suite(test: &str, server: &[&str], arguments: &[&str]) -> Result<Option<String>> {
    let Some(packages) = Packages::or_skip(test)? else { return Ok(None) };
    let server = HttpServer::start(server).await?;
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut command = packages.command(&packages.npm_bin("conformance"), home);
    command.args(["server", "--url", &server.url]).args(arguments);
    Ok(Some(run(command, LONGEST).await?.success()?))
}

/// Every scenario passes, whether it is scored or not.
async fn requirements(test: &str, server: &[&str], revision: &str) -> Result<()> {
    let Some(output) = suite(test, server, &["--requirements", revision]).await? else { return Ok(()) };
    let total = output.lines().find(|line| line.starts_with("Total: ")).context("no total")?;
    ensure!(total.ends_with(" passed, 0 failed"), "{output}");
    Ok(())
}

#[tokio::test]
async fn the_requirements_of_2025_11_25() -> Result<()> {
    requirements("the_requirements_of_2025_11_25", &[], "2025-11-25").await
}

#[tokio::test]
async fn the_requirements_of_2026_07_28() -> Result<()> {
    requirements("the_requirements_of_2026_07_28", &[], "2026-07-28").await
}

#[tokio::test]
async fn the_requirements_of_2025_11_25_in_a_pinned_era() -> Result<()> {
    requirements("the_requirements_of_2025_11_25_in_a_pinned_era", &["--era", "legacy"], "2025-11-25").await
}

#[tokio::test]
async fn the_requirements_of_2026_07_28_in_a_pinned_era() -> Result<()> {
    requirements("the_requirements_of_2026_07_28_in_a_pinned_era", &["--era", "modern"], "2026-07-28").await
}

#[tokio::test]
async fn the_skills_extension() -> Result<()> {
    for scenario in ["sep-2640-skills-enumeration", "sep-2640-skills-directory", "sep-2640-skills-manifest"] {
        let arguments = ["--scenario", scenario, "--spec-version", "2026-07-28", "--force"];
        let Some(output) = suite("the_skills_extension", &[], &arguments).await? else { return Ok(()) };
        ensure!(output.contains(", 0 failed, 0 warnings"), "{output}");
    }
    Ok(())
}
