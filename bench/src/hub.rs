//! The hub as an operator runs it: a configuration file, a data directory, a key.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::load::{Client, Connection, Target};
use crate::process::{Process, free_port};
use crate::upstream::{SCALE_SERVERS, SERVERS, identity_provider, modern};

/// The profile with all servers, in which nobody is asked for a key.
pub(crate) const SCALE_PROFILE: &str = "scale";
/// Profiles with one server each, of the era that they are named after, in
/// which nobody is asked for a key.
pub(crate) const LEGACY_PROFILE: &str = "legacy";
pub(crate) const MODERN_PROFILE: &str = "modern";

const START_TIMEOUT: Duration = Duration::from_secs(20);
const START_POLL: Duration = Duration::from_millis(1);

/// What is needed to start the hub, as often as wanted.
#[derive(Debug)]
pub(crate) struct Hub {
    program: PathBuf,
    directory: PathBuf,
    configuration: PathBuf,
    pub(crate) target: Target,
}

impl Hub {
    /// Writes the configuration, starts the hub once so that it makes its
    /// data, and makes a key.
    pub(crate) async fn prepare(program: &Path, directory: &Path, upstream: SocketAddr) -> Result<Self> {
        let address: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
        let configuration = directory.join("trunkline.yaml");
        fs::write(&configuration, configured(address, upstream)?)?;
        let paths = vec!["/mcp/bench".to_owned()];
        let target = Target { address, paths, key: None, client: Client::Legacy };
        let mut hub =
            Self { program: program.to_owned(), directory: directory.to_owned(), configuration, target };
        let first = hub.start_process()?;
        hub.target.key = Some(hub.make_key().await?);
        drop(first);
        Ok(hub)
    }

    /// Starts the hub and waits for the first answer; also how long that took.
    pub(crate) async fn start(&self) -> Result<(Process, Duration)> {
        let start = Instant::now();
        let mut process = self.start_process()?;
        while start.elapsed() < START_TIMEOUT {
            process.check_alive()?;
            if let Ok(mut connection) = Connection::open(&self.target, 0).await {
                connection.set_up_session().await?;
                return Ok((process, start.elapsed()));
            }
            tokio::time::sleep(START_POLL).await;
        }
        bail!("the hub did not answer within {} s", START_TIMEOUT.as_secs())
    }

    fn start_process(&self) -> Result<Process> {
        let mut command = Command::new(&self.program);
        command.arg("serve").args(self.place());
        Process::start("hub", &mut command, &self.directory)
    }

    fn place(&self) -> [PathBuf; 4] {
        ["--config".into(), self.configuration.clone(), "--data".into(), self.directory.join("hub-data")]
    }

    /// Tries until the hub that was just started has made its database.
    async fn make_key(&self) -> Result<String> {
        let start = Instant::now();
        loop {
            match self.command(&["key", "create", "--profile", "bench"]) {
                Ok(printed) => return key_in(&printed).context("key create printed no key"),
                Err(error) if start.elapsed() > START_TIMEOUT => return Err(error),
                Err(_) => tokio::time::sleep(START_POLL * 100).await,
            }
        }
    }

    /// Runs a command beside the hub; what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--json").args(self.place());
        let output = command.output()?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn key_in(printed: &Value) -> Option<String> {
    match printed {
        Value::String(text) => text.starts_with("tlk_").then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(key_in),
        Value::Object(members) => members.values().find_map(key_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn configured(listen: SocketAddr, upstream: SocketAddr) -> Result<String> {
    let mut text = format!(
        "listen: {listen}\nsign_in:\n  issuers:\n    corp: {{ issuer: \"http://{upstream}{}\", client_id: {} }}\nservers:\n",
        identity_provider::PATH,
        identity_provider::CLIENT,
    );
    for server in 0..SCALE_SERVERS {
        writeln!(text, "  s{server}: {{ url: \"http://{upstream}/s{server}\" }}")?;
    }
    writeln!(text, "  m: {{ url: \"http://{upstream}{}\" }}", modern::PATH)?;
    text.push_str("profiles:\n  bench:\n    auth: oauth\n    servers:\n");
    for server in 0..SERVERS {
        writeln!(text, "      s{server}: {{}}")?;
    }
    writeln!(text, "  {LEGACY_PROFILE}: {{ auth: none, servers: {{ s0: {{}} }} }}")?;
    writeln!(text, "  {MODERN_PROFILE}: {{ auth: none, servers: {{ m: {{}} }} }}")?;
    writeln!(text, "  {SCALE_PROFILE}:\n    auth: none\n    servers:")?;
    for server in 0..SCALE_SERVERS {
        writeln!(text, "      s{server}: {{}}")?;
    }
    Ok(text)
}
