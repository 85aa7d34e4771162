//! The tools that checks and tests need besides Rust's own, pinned in
//! `xtask/tools.txt`: prebuilt from PyPI where a wheel fits the machine,
//! else built from crates.io.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::debian;
use crate::process::{cargo, command, output, root, run, say, target, which};

/// One tool and where else than from a wheel it comes.
pub(crate) struct Tool {
    program: &'static str,
    /// The crate that builds it and its version; `None` when it is no Rust program.
    krate: Option<(&'static str, &'static str)>,
}

pub(crate) const NEXTEST: Tool = Tool { program: "cargo-nextest", krate: Some(("cargo-nextest", "0.9.148")) };
pub(crate) const DENY: Tool = Tool { program: "cargo-deny", krate: Some(("cargo-deny", "0.20.2")) };
pub(crate) const TYPOS: Tool = Tool { program: "typos", krate: Some(("typos-cli", "1.52.0")) };
pub(crate) const HADOLINT: Tool = Tool { program: "hadolint", krate: None };

impl Tool {
    /// Where the tool is, after it has been installed if it was not there.
    ///
    /// # Errors
    /// When it is neither on the machine nor to be had.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        if let Some(path) = self.of_the_machine() {
            return Ok(path);
        }
        if let Err(error) = install_wheels() {
            say(&format!("no prebuilt {}: {error:#}", self.program));
        }
        if self.installed().is_none() {
            self.build()?;
        }
        self.installed().with_context(|| format!("{} is not to be had here", self.program))
    }

    fn installed(&self) -> Option<PathBuf> {
        let places = [virtual_environment().join("bin"), built().join("bin")];
        places.into_iter().map(|place| place.join(self.program)).find(works)
    }

    /// A nextest that somebody installed does: its answers do not change between
    /// patch versions. A linter's do.
    fn of_the_machine(&self) -> Option<PathBuf> {
        if self.program == NEXTEST.program { which(self.program) } else { None }
    }

    fn build(&self) -> Result<()> {
        let Some((krate, version)) = self.krate else {
            bail!("{} comes as a wheel only, and none could be installed", self.program);
        };
        let mut install = cargo(["install", "--locked", "--version", version, krate, "--root"]);
        run(install.arg(built()))
    }
}

fn works(path: &PathBuf) -> bool {
    let status = command(path).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn virtual_environment() -> PathBuf {
    target().join("tools/python")
}

fn built() -> PathBuf {
    target().join("tools/rust")
}

/// Installs every wheel of `xtask/tools.txt`, if that has not been done.
fn install_wheels() -> Result<()> {
    let list = root().join("xtask/tools.txt");
    let wanted = fs::read_to_string(&list).context("cannot read xtask/tools.txt")?;
    let stamp = virtual_environment().join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    debian::install(debian::OF_TOOLS)?;
    let mut install = command(make_virtual_environment(&virtual_environment())?);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--require-hashes", "--only-binary", ":all:", "--requirement"]);
    run(install.arg(&list))?;
    fs::write(&stamp, wanted).context("cannot note what was installed")
}

/// A Python of its own at `place`; gives back its interpreter.
///
/// # Errors
/// When the machine has no Python 3 with `venv`.
pub(crate) fn make_virtual_environment(place: &PathBuf) -> Result<PathBuf> {
    let python = place.join("bin/python");
    if python.is_file() && output(command(&python).args(["-m", "pip", "--version"])).is_ok() {
        return Ok(python);
    }
    run(command("python3").args(["-m", "venv", "--clear"]).arg(place))?;
    Ok(python)
}
