//! Programs that the tests start and that come from the system's packages.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::process::{command, output, requires_all, run, say, which};

/// A program, and the Debian package that has it.
pub(crate) struct Program {
    package: &'static str,
    there: fn() -> bool,
    /// What goes undone without it.
    purpose: &'static str,
}

/// What the tests start.
pub(crate) const OF_TESTS: &[Program] = &[
    Program { package: "postgresql", there: has_postgresql, purpose: "the tests on PostgreSQL" },
    Program { package: "git", there: || has("git"), purpose: "the tests on mcp-server-git" },
    Program { package: "procps", there: || has("kill"), purpose: "the tests that end processes" },
    Program { package: "nodejs", there: || has("node"), purpose: "the tests on npm packages" },
    Program { package: "npm", there: || has("npm"), purpose: "the tests on npm packages" },
    Program { package: "python3-venv", there: has_venv, purpose: "the tests on PyPI packages" },
];

/// What the prebuilt tools are installed with.
pub(crate) const OF_TOOLS: &[Program] =
    &[Program { package: "python3-venv", there: has_venv, purpose: "the installation of prebuilt tools" }];

/// What the benchmarks start.
pub(crate) const OF_BENCHMARKS: &[Program] =
    &[Program { package: "nginx", there: || has("nginx"), purpose: "the comparison with nginx" }];

/// Installs what is missing of `programs`, where that is possible.
///
/// # Errors
/// Only where nothing may be skipped (`TRUNKLINE_REQUIRE_ALL`).
pub(crate) fn install(programs: &[Program]) -> Result<()> {
    if missing(programs).next().is_none() {
        return Ok(());
    }
    if has("apt-get") && is_root() {
        let packages: Vec<&str> = missing(programs).map(|program| program.package).collect();
        if let Err(error) = apt_get(&packages) {
            say(&format!("apt-get: {error:#}"));
        }
    }
    for program in missing(programs) {
        say(&format!("{} is missing: {} will be skipped", program.package, program.purpose));
    }
    if requires_all() && missing(programs).next().is_some() {
        bail!("something is missing and nothing may be skipped");
    }
    Ok(())
}

fn missing(programs: &[Program]) -> impl Iterator<Item = &Program> {
    programs.iter().filter(|program| !(program.there)())
}

fn apt_get(packages: &[&str]) -> Result<()> {
    run(command("apt-get").args(["update", "-qq"]))?;
    // Run level 1 keeps the packages from starting their services: the tests start their own.
    let mut install = command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    run(install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
}

fn has(program: &str) -> bool {
    // Debian keeps servers where a user's PATH does not look.
    which(program).is_some() || Path::new("/usr/sbin").join(program).is_file()
}

fn has_venv() -> bool {
    output(command("python3").args(["-c", "import venv, ensurepip"])).is_ok()
}

fn has_postgresql() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    has("initdb") || versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
}

fn is_root() -> bool {
    output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
