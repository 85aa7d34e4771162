//! Programs that the tests start and that come from the system's packages.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::process::{command, output, requires_all, run, say, which};

/// A program, and the Debian package that has it.
struct Program {
    package: &'static str,
    there: fn() -> bool,
    /// What goes untested without it.
    purpose: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program { package: "postgresql", there: has_postgresql, purpose: "the tests on PostgreSQL" },
    Program { package: "nginx", there: || has("nginx"), purpose: "the benchmark's comparison" },
    Program { package: "wrk", there: || has("wrk"), purpose: "the benchmark's load" },
    Program { package: "git", there: || has("git"), purpose: "the tests on mcp-server-git" },
    Program { package: "nodejs", there: || has("node"), purpose: "the tests on npm packages" },
    Program { package: "npm", there: || has("npm"), purpose: "the tests on npm packages" },
    Program { package: "python3-venv", there: has_venv, purpose: "the tests on PyPI packages" },
];

/// Installs what is missing, where that is possible.
///
/// # Errors
/// Only where nothing may be skipped (`TRUNKLINE_REQUIRE_ALL`).
pub(crate) fn install() -> Result<()> {
    if missing().next().is_none() {
        return Ok(());
    }
    if has("apt-get") && is_root() {
        let packages: Vec<&str> = missing().map(|program| program.package).collect();
        if let Err(error) = apt_get(&packages) {
            say(&format!("apt-get: {error:#}"));
        }
    }
    for program in missing() {
        say(&format!("{} is missing: {} will be skipped", program.package, program.purpose));
    }
    if requires_all() && missing().next().is_some() {
        bail!("something is missing and nothing may be skipped");
    }
    Ok(())
}

fn missing() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(|program| !(program.there)())
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
