//! The configuration of the demonstration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use indexmap::IndexMap;
use trunkline_model::{
    Command, Endpoint, EraPin, Instances, ProfileAuth, ProfileName, ProfileSpec, Selection, ServerName,
    ServerSpec,
};

use crate::config::Config;
use crate::find_program::find_program;

/// Reference servers: name, runner, arguments.
const REFERENCE: [(&str, &str, &[&str]); 3] = [
    ("everything", "npx", &["-y", "@modelcontextprotocol/server-everything"]),
    ("memory", "npx", &["-y", "@modelcontextprotocol/server-memory"]),
    ("time", "uvx", &["mcp-server-time"]),
];

/// The name of the profile.
pub(super) fn profile() -> anyhow::Result<ProfileName> {
    Ok(ProfileName::new("demo")?)
}

/// A hub with one profile: this program's sample server, and the reference
/// servers whose runner is installed.
///
/// # Errors
/// This program does not know where it is.
pub(super) fn build(listen: SocketAddr, only_sample: bool) -> anyhow::Result<Config> {
    let this_program = std::env::current_exe().context("cannot tell where this program is")?;
    let this_program = this_program.to_str().context("this program stands at a path that is not Unicode")?;
    let mut servers = vec![server("sample", this_program, &["sample-server"])?];
    if !only_sample {
        for (name, runner, args) in REFERENCE {
            if find_program(runner).is_some() {
                servers.push(server(name, runner, args)?);
            }
        }
    }
    let name = profile()?;
    let selected: IndexMap<ServerName, Selection> =
        servers.iter().map(|server| (server.name.clone(), Selection::default())).collect();
    let profile = ProfileSpec {
        name: name.clone(),
        auth: ProfileAuth::ApiKey,
        members: None,
        scopes: BTreeMap::new(),
        servers: selected,
        models: Vec::new(),
    };
    Ok(Config {
        listen,
        servers: servers.into_iter().map(|server| (server.name.clone(), server)).collect(),
        profiles: IndexMap::from([(name, profile)]),
        ..Config::default()
    })
}

fn server(name: &str, program: &str, args: &[&str]) -> anyhow::Result<ServerSpec> {
    Ok(ServerSpec {
        name: ServerName::new(name)?,
        endpoint: Endpoint::Stdio(Command {
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: BTreeMap::new(),
            cwd: None,
        }),
        era: EraPin::Auto,
        instances: Instances::PerUser,
        idle_timeout: Duration::from_mins(10),
        call_timeout: Duration::from_mins(5),
    })
}
