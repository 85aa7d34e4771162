//! Runs the client half of the suite: the suite scripts a server for each
//! scenario, and judges what the hub before it sends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use trunkline_tests::client_program::Client;
use trunkline_tests::hub;
use trunkline_tests::process::{self, Finished};

use super::baseline::Baseline;
use super::cell::Era;
use super::results::{Repeated, Results};
use super::run::SCENARIO;

/// A scenario takes from one second to ten; the limit is for a loaded machine.
const LONGEST: Duration = Duration::from_mins(2);
/// The suite's own limit for the client of one scenario, in milliseconds.
const CLIENT_LIMIT: &str = "60000";

/// Scenarios of the modern era that are in no revision.
const SKILLS: &str = "sep-2640-";
/// Scenarios of authorization, which have a test of their own.
const AUTHORIZATION: &str = "auth/";

/// Which era speaks the client before the hub, and which the suite's server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) client: Era,
    pub(super) server: Era,
}

impl Pair {
    fn name(self) -> String {
        format!("as_client_{}_to_{}", self.client.name(), self.server.name())
    }

    fn baseline(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("it/conformance/{}.yaml", self.name()))
    }
}

/// The suite with the client that puts a hub between.
struct Suite {
    client: Client,
    pair: Pair,
}

impl Suite {
    fn results(&self) -> PathBuf {
        self.client.home().join("results")
    }

    async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.client.command(&self.client.packages.npm_bin("conformance"));
        command.env("TRUNKLINE_BIN", hub::binary()?).env("TRUNKLINE_CLIENT_ERA", self.pair.client.name());
        command.args(arguments);
        process::run(command, LONGEST).await
    }

    /// All scenarios that the suite has for the server's era.
    async fn scenarios(&self) -> Result<Vec<String>> {
        let listed = self.run(&["list", "--client"]).await?.success()?;
        let revision = self.pair.server.revision();
        let wanted = |line: &str| {
            let (name, revisions) = line.trim().strip_prefix("- ")?.split_once(' ')?;
            let skills = name.starts_with(SKILLS) && self.pair.server == Era::Modern;
            let ours = !name.starts_with(AUTHORIZATION) && (revisions.contains(revision) || skills);
            ours.then(|| name.to_owned())
        };
        Ok(listed.lines().filter_map(wanted).collect())
    }

    async fn play(&self, scenario: &str) -> Result<Finished> {
        let played = self.play_at(scenario, self.pair.server.revision()).await?;
        // The suite excuses a client that fails where it may refuse; this one has no reason to.
        ensure!(!played.stderr.contains("Client exited"), "{scenario}: {}", played.stderr);
        Ok(played)
    }

    async fn play_at(&self, scenario: &str, revision: &str) -> Result<Finished> {
        let results = self.results();
        let results = results.to_str().context("the home is no text")?;
        self.run(&[
            "client",
            "--command",
            env!("CARGO_BIN_EXE_conformance-client"),
            "--scenario",
            scenario,
            "--spec-version",
            revision,
            "--force",
            "--timeout",
            CLIENT_LIMIT,
            "--output-dir",
            results,
        ])
        .await
    }
}

/// The checks that fail are those of the pair's baseline. With
/// `TRUNKLINE_SCENARIO`, only that scenario runs, and all its checks must pass.
pub(super) async fn compare(pair: Pair) -> Result<()> {
    let Some(client) = Client::or_skip(&pair.name())? else { return Ok(()) };
    let suite = Suite { client, pair };
    if let Some(scenario) = std::env::var_os(SCENARIO) {
        return one(&suite, &scenario.to_string_lossy()).await;
    }
    let scenarios = suite.scenarios().await?;
    ensure!(!scenarios.is_empty(), "the suite has no scenario");
    for scenario in &scenarios {
        suite.play(scenario).await?;
    }
    let results = Results::read(&suite.results(), "", Repeated::Once)?;
    Baseline::read(&pair.baseline())?.expect(&results).with_context(|| pair.name())
}

/// What the hub does not speak yet, and says so of.
const NOT_SPOKEN: [&str; 2] = ["auth/dpop", "auth/dpop-nonce"];

/// Every scenario of authorization, in each revision that has it: all checks pass.
pub(super) async fn authorize() -> Result<()> {
    let Some(client) = Client::or_skip("as_client_authorize")? else { return Ok(()) };
    let suite = Suite { client, pair: Pair { client: Era::Modern, server: Era::Modern } };
    let listed = suite.run(&["list", "--client"]).await?.success()?;
    let only = std::env::var(SCENARIO).ok();
    let mut played = 0;
    for line in listed.lines() {
        let Some((name, revisions)) = line.trim().strip_prefix("- ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let wanted = only.as_ref().is_none_or(|only| only == name) && !NOT_SPOKEN.contains(&name);
        if !name.starts_with(AUTHORIZATION) || !wanted {
            continue;
        }
        let newest = revisions.trim_matches(['[', ']']).split(',').next_back().unwrap_or_default();
        let revision = if newest == "extension" { Era::Modern.revision() } else { newest };
        let finished = suite.play_at(name, revision).await?;
        let said = finished.stdout + &finished.stderr;
        ensure!(said.contains("OVERALL: PASSED"), "{name} {revision}: {said}");
        played += 1;
    }
    ensure!(played >= if only.is_some() { 1 } else { 30 }, "{played} scenarios were played:\n{listed}");
    Ok(())
}

async fn one(suite: &Suite, scenario: &str) -> Result<()> {
    let played = suite.play(scenario).await?;
    let results = Results::read(&suite.results(), "", Repeated::Once)?;
    if !results.failing.is_empty() || results.counts.passed == 0 {
        bail!("{}{}\n{}", played.stdout, played.stderr, results.counts);
    }
    Ok(())
}
