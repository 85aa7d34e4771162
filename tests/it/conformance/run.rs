//! Runs the suite on a cell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use trunkline_tests::client_program::Client;
use trunkline_tests::process::{self, Finished};

use super::baseline::Baseline;
use super::cell::{Cell, Era, PROFILE, Servers};
use super::results::{Repeated, Results};

/// The whole suite takes from ten seconds to a minute; the limit is for a loaded machine.
const LONGEST: Duration = Duration::from_mins(4);

/// The environment variable that names the one scenario to run.
pub(super) const SCENARIO: &str = "TRUNKLINE_SCENARIO";

/// What the suite puts before the names of these scenarios.
const PREFIX: &str = "server-";

/// Scenarios of the modern era that are in no set of requirements.
const SKILLS: [&str; 3] =
    ["sep-2640-skills-enumeration", "sep-2640-skills-directory", "sep-2640-skills-manifest"];

/// The suite, and the endpoint that it speaks to.
struct Suite {
    client: Client,
    url: String,
    revision: &'static str,
}

impl Suite {
    fn results(&self) -> PathBuf {
        self.client.home().join("results")
    }

    async fn run(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = self.client.command(&self.client.packages.npm_bin("conformance"));
        command.args(["server", "--url", &self.url, "--output-dir"]).arg(self.results()).args(arguments);
        process::run(command, LONGEST).await
    }

    /// The scored scenarios decide how it ends; the others leave only results.
    async fn requirements(&self, baseline: &Path) -> Result<Finished> {
        let baseline = baseline.to_str().context("the path of the checkout is no text")?;
        self.run(&["--requirements", self.revision, "--expected-failures", baseline]).await
    }

    async fn scenario(&self, name: &str) -> Result<Finished> {
        self.run(&["--scenario", name, "--spec-version", self.revision, "--force"]).await
    }
}

/// The checks that fail are those of the cell's baseline. With `TRUNKLINE_SCENARIO`,
/// only that scenario runs, and all its checks must pass.
pub(super) async fn compare(cell: Cell) -> Result<()> {
    let test = match cell.servers {
        Servers::One => format!("cell_{}", cell.name()),
        Servers::Three => format!("cell_{}_among_three", cell.name()),
    };
    let Some(client) = Client::or_skip(&test)? else { return Ok(()) };
    let stage = cell.start().await?;
    let suite = Suite { client, url: stage.hub.url(PROFILE), revision: cell.client.revision() };
    if let Some(scenario) = std::env::var_os(SCENARIO) {
        let scenario = scenario.to_string_lossy();
        return one(&suite, &scenario).await.with_context(|| stage.hub.output());
    }
    whole(&suite, cell).await.with_context(|| test)
}

async fn whole(suite: &Suite, cell: Cell) -> Result<()> {
    let path = cell.baseline();
    let finished = suite.requirements(&path).await?;
    if cell.client == Era::Modern {
        for scenario in SKILLS {
            suite.scenario(scenario).await?;
        }
    }
    Baseline::read(&path)?.expect(&Results::read(&suite.results(), PREFIX, Repeated::Counted)?)?;
    finished.success().map(drop)
}

async fn one(suite: &Suite, scenario: &str) -> Result<()> {
    let finished = suite.scenario(scenario).await?;
    let results = Results::read(&suite.results(), PREFIX, Repeated::Counted)?;
    if !results.failing.is_empty() {
        bail!("{}\n{}", finished.stdout, results.counts);
    }
    ensure!(results.counts.passed > 0, "{}{}", finished.stdout, finished.stderr);
    Ok(())
}
