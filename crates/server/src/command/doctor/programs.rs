//! Whether the programs of stdio servers are there, and which version of
//! the runners that many of them come by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use trunkline_model::{Endpoint, ServerName};

use super::Finding;
use crate::config::Config;
use crate::find_program::find_program;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Programs that fetch and run packages; asking for their version is safe.
const RUNNERS: [(&str, &str); 5] = [
    ("npx", "install Node.js (https://nodejs.org)"),
    ("node", "install Node.js (https://nodejs.org)"),
    ("uvx", "install uv (https://docs.astral.sh/uv)"),
    ("uv", "install uv (https://docs.astral.sh/uv)"),
    ("docker", "install Docker, or use the server's npm or PyPI package"),
];

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let mut users: BTreeMap<&str, Vec<&ServerName>> = BTreeMap::new();
    let mut findings = Vec::new();
    for server in config.servers.values() {
        let Endpoint::Stdio(command) = &server.endpoint else { continue };
        users.entry(&command.program).or_default().push(&server.name);
        if let Some(cwd) = command.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
            let subject = format!("server {}", server.name);
            let fix = "make it, or correct `cwd`";
            findings.push(Finding::fail(
                subject,
                format!("the directory {} does not exist", cwd.display()),
                fix,
            ));
        }
    }
    for (program, servers) in users {
        let names: Vec<&str> = servers.iter().map(|name| name.as_str()).collect();
        findings.push(look_at(program, &names.join(", ")).await);
    }
    findings
}

async fn look_at(program: &str, users: &str) -> Finding {
    let subject = format!("program {program}");
    let runner = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    let known = RUNNERS.iter().find(|(name, _)| *name == runner);
    let Some(path) = find_program(program) else {
        let fix = known.map_or("install it, or write its full path in `command`", |(_, fix)| fix);
        return Finding::fail(subject, format!("is not found; it is the command of {users}"), fix);
    };
    if known.is_none() {
        return Finding::ok(subject, format!("{} (for {users})", path.display()));
    }
    match version(&path).await {
        Some(version) => Finding::ok(subject, format!("{} {version} (for {users})", path.display())),
        None => Finding::warn(
            subject,
            format!("{} does not tell its version (for {users})", path.display()),
            "run it by hand and see what it says",
        ),
    }
}

/// The first line of what `program --version` prints.
async fn version(program: &PathBuf) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[tokio::test]
    async fn a_missing_program_names_its_servers_and_a_fix() {
        let finding = look_at("trunkline-no-such-program", "time, files").await;
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.detail.contains("time, files") && finding.fix.is_some());
        assert_eq!(look_at("/bin/sh", "shell").await.status, Status::Ok);
    }
}
