//! Client programs run as their users run them, each with a home of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

use crate::packages::Packages;
use crate::process::{self, Finished};

/// The slowest client takes a few seconds; the limit is for a loaded machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The installed packages and an empty home.
#[derive(Debug)]
pub struct Client {
    pub packages: Packages,
    home: TempDir,
}

impl Client {
    /// A client for `test`, or none after saying that it is skipped.
    pub fn or_skip(test: &str) -> Result<Option<Self>> {
        let Some(packages) = Packages::or_skip(test)? else { return Ok(None) };
        Ok(Some(Self { packages, home: tempfile::tempdir()? }))
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command in this home, with the pinned Node first on its path.
    pub fn command(&self, program: &Path) -> Command {
        self.packages.command(program, self.home())
    }

    /// Runs a command to its end.
    pub async fn run(&self, command: Command) -> Result<Finished> {
        process::run(command, LIMIT).await
    }

    /// Runs a command whose input stays open to its end.
    pub async fn run_with_open_input(&self, command: Command) -> Result<Finished> {
        process::run_with_open_input(command, LIMIT).await
    }

    /// Runs one of the Node scripts in `it/scripts`. It finds the pinned
    /// packages because its copy stands beside them.
    pub async fn node_script(&self, name: &str, arguments: &[&str]) -> Result<serde_json::Value> {
        let command = self.node_command(name, arguments)?;
        Ok(serde_json::from_str(&self.run(command).await?.success()?)?)
    }

    /// The command of [`Self::node_script`].
    pub fn node_command(&self, name: &str, arguments: &[&str]) -> Result<Command> {
        let copy = self.home().join(name);
        std::fs::copy(script(name), &copy)?;
        let modules = self.home().join("node_modules");
        if !modules.exists() {
            std::os::unix::fs::symlink(self.packages.node_modules(), modules)?;
        }
        let mut command = self.command(&self.packages.node());
        command.arg(copy).args(arguments);
        Ok(command)
    }

    /// Runs one of the Python scripts in `it/scripts`.
    pub async fn python_script(&self, name: &str, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut command = self.command(&self.packages.python());
        command.arg(script(name)).args(arguments);
        Ok(serde_json::from_str(&self.run(command).await?.success()?)?)
    }
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts").join(name)
}
