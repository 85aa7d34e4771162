//! The real MCP servers and clients that the tests run: npm and PyPI packages,
//! pinned in `tests/packages`, installed into `tests/.packages`.
//!
//! `tests/.packages/node/node_modules` has the npm packages, among them the Node.js
//! that runs them; `tests/.packages/python` is a virtual environment.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{command, root, run, say};
use crate::tools::make_virtual_environment;

/// Installs both kinds; nothing happens when the pinned versions have not changed.
pub(crate) fn install() -> Result<()> {
    let wanted = root().join("tests/packages");
    let installed = root().join("tests/.packages");
    fs::create_dir_all(&installed).context("cannot make tests/.packages")?;
    unless_stamped(
        &installed.join("node.stamp"),
        &[&wanted.join("package.json"), &wanted.join("package-lock.json")],
        || install_node_packages(&wanted, &installed.join("node")),
    )?;
    unless_stamped(&installed.join("python.stamp"), &[&wanted.join("requirements.txt")], || {
        install_python_packages(&wanted.join("requirements.txt"), &installed.join("python"))
    })
}

/// Runs `work` when the contents of `files` are not those that `stamp` was written for.
fn unless_stamped(stamp: &Path, files: &[&PathBuf], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).with_context(|| format!("cannot read {}", file.display()))?.hash(&mut hasher);
    }
    let digest = format!("{:016x}", hasher.finish());
    if fs::read_to_string(stamp).is_ok_and(|found| found == digest) {
        return Ok(());
    }
    work()?;
    fs::write(stamp, digest).with_context(|| format!("cannot write {}", stamp.display()))
}

/// `npm ci`, in two steps: the packages' own scripts need a newer Node.js than many machines
/// have, and that one is among the packages.
fn install_node_packages(wanted: &Path, place: &Path) -> Result<()> {
    fs::create_dir_all(place).context("cannot make the folder of the npm packages")?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(wanted.join(file), place.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
    run(command("npm").args(["ci", "--ignore-scripts"]).args(quiet).current_dir(place))?;
    let mut rebuild = command("npm");
    rebuild.arg("rebuild").args(quiet).current_dir(place);
    if let Some(directory) = bundled_node(place) {
        rebuild.env("PATH", path_with(&directory)?);
    } else {
        say("no Node.js among the npm packages fits this machine: the machine's own is used");
    }
    run(&mut rebuild)
}

/// The folder of the Node.js that came as an npm package, `node-<system>-<processor>`.
fn bundled_node(place: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(place.join("node_modules")).ok()?.flatten();
    packages
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("node-"))
        .map(|entry| entry.path().join("bin"))
        .find(|directory| directory.join("node").is_file())
}

fn path_with(first: &Path) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first.to_owned()).chain(env::split_paths(&rest));
    env::join_paths(all).context("the path of the checkout cannot stand in PATH")
}

fn install_python_packages(list: &Path, place: &PathBuf) -> Result<()> {
    let python = make_virtual_environment(place)?;
    let mut install = command(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run(install.arg(list))
}
