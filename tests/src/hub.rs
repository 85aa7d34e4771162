//! The hub as a user starts it: a child process with a configuration file and
//! a data folder of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

use crate::http::Endpoint;
use crate::mcp_client::ModernClient;
use crate::process::{self, Process};

/// A start takes well under a second; the limit is for a loaded machine.
const START: Duration = Duration::from_secs(20);
/// Children get SIGTERM and then SIGKILL before the hub ends.
const STOP: Duration = Duration::from_secs(20);

/// What a list says of servers that it lacks.
const MISSING: &str = "io.trunkline/servers";
const WARM_LOOKS: usize = 200;
const WARM_PAUSE: Duration = Duration::from_millis(200);

/// A running hub. Its folder goes and its process ends when this is dropped.
#[derive(Debug)]
pub struct TestHub {
    process: Process,
    base: String,
    folder: TempDir,
}

impl TestHub {
    /// Starts a hub with this configuration on a free port of loopback and
    /// waits until it is ready.
    pub async fn start(configuration: &str) -> Result<Self> {
        Self::start_with(configuration, &[]).await
    }

    /// The same with these environment variables.
    pub async fn start_with(configuration: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("trunkline.yaml"), configuration)?;
        let (process, base) = Self::serve(folder.path(), environment).await?;
        Ok(Self { process, base, folder })
    }

    async fn serve(folder: &Path, environment: &[(&str, &str)]) -> Result<(Process, String)> {
        let mut command = program(folder)?;
        command.envs(environment.iter().copied());
        command.arg("serve").args(options(folder)).args(["--listen", "127.0.0.1:0"]);
        let mut process = Process::start(command)?;
        let line = process.line(START, |line| address_in(line).is_some()).await?;
        let base = address_in(&line).context("the line has just been seen")?;
        let ready = Endpoint::new(&format!("{base}/readyz")).get(&[]).await?;
        ready.expect_status(200).with_context(|| process.output())?;
        Ok((process, base))
    }

    /// Where the hub listens: `http://127.0.0.1:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The URL of a profile's endpoint.
    pub fn url(&self, profile: &str) -> String {
        format!("{}/mcp/{profile}", self.base)
    }

    /// A profile's endpoint without a credential.
    pub fn endpoint(&self, profile: &str) -> Endpoint {
        Endpoint::new(&self.url(profile))
    }

    /// Waits until the servers behind `endpoint` have listed their tools to its
    /// caller: starting a server is not what most tests are about, and on a
    /// loaded machine it takes longer than a client's patience.
    pub async fn until_listed(&self, endpoint: &Endpoint) -> Result<()> {
        let client = ModernClient::new(endpoint.clone());
        for _ in 0..WARM_LOOKS {
            let list = client.request("tools/list", "{}").await.with_context(|| self.output())?;
            if list.result_value()?["_meta"][MISSING].is_null() {
                return Ok(());
            }
            tokio::time::sleep(WARM_PAUSE).await;
        }
        bail!("the servers did not start:\n{}", self.output())
    }

    /// The id of the hub's process.
    pub fn id(&self) -> Result<u32> {
        self.process.id()
    }

    /// What the hub has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits until the hub has written a line that `wanted` accepts.
    pub async fn until_output(&self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.process.written(START, wanted).await
    }

    /// The folder with the configuration, `trunkline.yaml`, and the data, `data/`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new API key of the profile.
    pub async fn create_key(&self, profile: &str) -> Result<String> {
        let printed = self.cli(&["key", "create", "--profile", profile, "--json"]).await?;
        let start = printed.find("tlk_").with_context(|| format!("no key in {printed}"))?;
        let key =
            printed[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        Ok(key.collect())
    }

    /// Runs a command of the binary on this hub's configuration and data, and
    /// gives its standard output.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = program(self.folder.path())?;
        command.args(arguments).args(options(self.folder.path()));
        let finished = process::run(command, Duration::from_secs(30)).await?;
        finished.success().with_context(|| format!("trunkline {arguments:?}"))
    }

    /// Replaces the configuration file, which the running hub notices.
    pub fn rewrite_configuration(&self, configuration: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join("trunkline.yaml"), configuration)?)
    }

    /// Kills the hub without warning and starts it again on the same data.
    pub async fn kill_and_restart(self) -> Result<Self> {
        let Self { process, folder, .. } = self;
        process.kill().await?;
        let (process, base) = Self::serve(folder.path(), &[]).await?;
        Ok(Self { process, base, folder })
    }

    /// Stops the hub as an operator would and gives what it had written.
    pub async fn stop(self) -> Result<String> {
        let (status, output) = self.process.terminate(STOP).await?;
        if !status.success() {
            bail!("the hub ended with {status}:\n{output}");
        }
        Ok(output)
    }
}

fn options(folder: &Path) -> Vec<PathBuf> {
    vec!["--config".into(), folder.join("trunkline.yaml"), "--data".into(), folder.join("data")]
}

/// A command of the binary in `folder`, without the settings of who runs the
/// tests.
pub fn program(folder: &Path) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.env_clear().env("HOME", folder).current_dir(folder);
    for name in ["PATH", "LANG", "TRUNKLINE_LOG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    Ok(command)
}

/// The built hub: `TRUNKLINE_BIN`, or the one beside the test binary.
pub fn binary() -> Result<PathBuf> {
    match std::env::var_os("TRUNKLINE_BIN") {
        Some(path) => Ok(path.into()),
        None => built("trunkline"),
    }
}

/// A program of the workspace, beside the test binary.
pub fn built(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("the test binary is not in target/*/deps")?;
    let path = folder.join(program);
    if !path.exists() {
        bail!("{} is not built: run `cargo build --workspace --bin {program}`", path.display());
    }
    Ok(path)
}

/// `http://127.0.0.1:PORT` out of a line that names an endpoint.
fn address_in(line: &str) -> Option<String> {
    let start = line.find("http://127.0.0.1:")?;
    let port: String =
        line[start + "http://127.0.0.1:".len()..].chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty() && port != "0").then(|| format!("http://127.0.0.1:{port}"))
}
