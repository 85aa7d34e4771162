//! What is measured, and in which order.

mod bridge;
mod listen;
mod memory;
mod mrtr;
mod scale;
mod sign_in;
mod tokens;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::load::{
    self, Ask, Client, Connection, Latencies, SetUpSession, Step, Target, call_tool, list_tools,
};
use crate::nginx::{self, Nginx};
use crate::process::{Process, free_port};
use crate::report::{Figures, Row};
use crate::upstream::{SERVERS, TOOLS};

/// A share of the requests that warms up and is not measured.
const WARM_UP_SHARE: usize = 10;
/// Fewer sessions than requests: a hub keeps the sessions that nobody ended, up to a bound.
const SESSION_SHARE: usize = 4;
const STARTS: usize = 5;
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    Start,
    Calls,
    Lists,
    Sessions,
    Memory,
    Scale,
    /// Calls between clients and servers of each era.
    Bridge,
    /// Calls of a tool that asks first.
    Mrtr,
    /// Streams of modern clients, and changes on them.
    Listen,
    /// Calls with an access token beside an API key, and the endpoints that give tokens.
    Tokens,
    /// Sign-ins, and tokens of people's clients.
    SignIn,
}

/// How much is sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    pub(crate) requests: usize,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) sessions: usize,
}

/// Everything that runs during the measurement.
pub(crate) struct Bench {
    size: Size,
    upstream: Process,
    upstream_address: SocketAddr,
    nginx: Nginx,
    hub: Option<Hub>,
    // Last, so that processes end before their files go.
    _directory: TempDir,
}

/// Who is measured in one round.
#[derive(Clone)]
struct Measured<'a> {
    name: &'static str,
    process: &'a Process,
    target: Target,
}

/// One target's share of one round.
struct Round {
    cpu_micros: f64,
    per_second: f64,
    latencies: Latencies,
}

impl Bench {
    /// Starts the upstream and nginx, and prepares the hub when there is one.
    pub(crate) async fn start(this: &Path, hub: Option<&Path>, size: Size) -> Result<Self> {
        let directory = TempDir::with_prefix("trunkline-bench-")?;
        let upstream_address: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
        let mut command = Command::new(this);
        command.args(["upstream", "--listen", &upstream_address.to_string()]);
        let upstream = Process::start("upstream", &mut command, directory.path())?;
        let nginx = nginx::start(directory.path(), upstream_address)?;
        wait_for(upstream_address).await.context("the upstream")?;
        wait_for(nginx.address).await.context("nginx")?;
        let hub = match hub {
            Some(program) => Some(Hub::prepare(program, directory.path(), upstream_address).await?),
            None => None,
        };
        Ok(Self { size, upstream, upstream_address, nginx, hub, _directory: directory })
    }

    /// Measures what is wanted.
    pub(crate) async fn run(mut self, wanted: &[Case]) -> Result<Figures> {
        let mut figures = Figures::new(self.size);
        let Some(hub) = self.hub.take() else {
            self.measure_load(None, wanted, &mut figures).await?;
            return Ok(figures);
        };
        if wanted.contains(&Case::Start) {
            figures.start_to_first_answer_ms = Some(start_time(&hub).await?);
        }
        let (process, _) = hub.start().await?;
        figures.idle_bytes = Some(process.resident_bytes()?);
        self.measure_load(Some(&measured(&hub, &process)), wanted, &mut figures).await?;
        if wanted.contains(&Case::Tokens) {
            let robot = tokens::Robot::make(&hub)?;
            tokens::measure(&self, &measured(&hub, &process), &robot, &mut figures).await?;
        }
        if wanted.contains(&Case::SignIn) {
            let people = sign_in::People::make(&hub).await?;
            sign_in::measure(&self, &measured(&hub, &process), &people, &mut figures).await?;
        }
        figures.after_load_bytes = Some(process.resident_bytes()?);
        drop(process);
        if wanted.contains(&Case::Scale) {
            let (fresh, _) = hub.start().await?;
            scale::measure(&measured(&hub, &fresh).target, &mut figures).await?;
        }
        if wanted.contains(&Case::Memory) {
            let (fresh, _) = hub.start().await?;
            memory::measure(self.size.sessions, &measured(&hub, &fresh), &mut figures).await?;
        }
        if wanted.contains(&Case::Listen) {
            let (fresh, _) = hub.start().await?;
            let size = (self.size.sessions, self.size.rounds);
            listen::measure(size, &measured(&hub, &fresh), self.upstream_address, &mut figures).await?;
        }
        Ok(figures)
    }

    async fn measure_load(
        &self,
        hub: Option<&Measured<'_>>,
        wanted: &[Case],
        figures: &mut Figures,
    ) -> Result<()> {
        if wanted.contains(&Case::Calls) {
            self.measure_calls(hub, figures).await?;
        }
        if let Some(hub) = hub
            && wanted.contains(&Case::Lists)
        {
            self.measure_lists(hub, figures).await?;
        }
        if wanted.contains(&Case::Sessions) {
            self.measure_sessions(hub, figures).await?;
        }
        if let Some(hub) = hub
            && wanted.contains(&Case::Bridge)
        {
            bridge::measure(self, hub, figures).await?;
        }
        if wanted.contains(&Case::Mrtr) {
            mrtr::measure(self, hub, figures).await?;
        }
        Ok(())
    }

    async fn measure_calls(&self, hub: Option<&Measured<'_>>, figures: &mut Figures) -> Result<()> {
        let plain = Ask { body: call_tool("tool_0_0"), answer_bytes: 1000, gzip: false };
        let count = self.size.requests;
        let mut rounds = Rounds::default();
        for _ in 0..self.size.rounds {
            for measured in [self.direct(), self.through_nginx(None)] {
                rounds.add(measured.name, self.round(&measured, count, plain.clone()).await?);
            }
            if let Some(hub) = hub {
                let name = first_tool(&hub.target).await?;
                let ask = Ask { body: call_tool(&name), ..plain.clone() };
                rounds.add("hub", self.round(hub, count, ask).await?);
            }
        }
        figures.rows.extend(rounds.rows("tools/call, 1 KiB"));
        Ok(())
    }

    /// nginx serves the bytes that the hub serves to a client that takes nothing compressed.
    async fn measure_lists(&self, hub: &Measured<'_>, figures: &mut Figures) -> Result<()> {
        let list = whole_list(&hub.target).await?;
        let setter = Target {
            address: self.upstream_address,
            paths: vec!["/list".to_owned()],
            key: None,
            client: Client::Legacy,
        };
        Connection::open(&setter, 0).await?.send(Method::PUT, list.clone()).await?;
        figures.list_bytes = Some(list.len());
        let ask = Ask { body: list_tools(), answer_bytes: list.len(), gzip: false };
        let zipped = Ask { answer_bytes: 1_000, gzip: true, ..ask.clone() };
        let count = self.size.requests;
        let mut rounds = Rounds::default();
        for _ in 0..self.size.rounds {
            let nginx = self.through_nginx(Some("/list"));
            rounds.add("nginx", self.round(&nginx, count, ask.clone()).await?);
            rounds.add("hub", self.round(hub, count, ask.clone()).await?);
            rounds.add("hub gzip", self.round(hub, count, zipped.clone()).await?);
        }
        figures.rows.extend(rounds.rows("tools/list, 10 x 30 tools"));
        Ok(())
    }

    async fn measure_sessions(&self, hub: Option<&Measured<'_>>, figures: &mut Figures) -> Result<()> {
        let count = self.size.requests / SESSION_SHARE;
        let mut rounds = Rounds::default();
        for _ in 0..self.size.rounds {
            for measured in [self.direct(), self.through_nginx(None)] {
                rounds.add(measured.name, self.round(&measured, count, SetUpSession).await?);
            }
            if let Some(hub) = hub {
                rounds.add("hub", self.round(hub, count, SetUpSession).await?);
            }
        }
        figures.rows.extend(rounds.rows("session set-up"));
        Ok(())
    }

    async fn round(&self, measured: &Measured<'_>, count: usize, step: impl Step) -> Result<Round> {
        let mut connections = Vec::new();
        for index in 0..self.size.connections {
            let mut connection = Connection::open(&measured.target, index).await?;
            connection.greet(measured.target.client).await?;
            connections.push(connection);
        }
        self.load(measured, connections, count, step).await
    }

    /// The same over connections that are open.
    async fn load(
        &self,
        measured: &Measured<'_>,
        mut connections: Vec<Connection>,
        count: usize,
        step: impl Step,
    ) -> Result<Round> {
        let warm_up = count / WARM_UP_SHARE;
        load::run(&mut connections, warm_up, step.clone()).await?;
        let before = measured.process.cpu_seconds()?;
        let start = Instant::now();
        let latencies = load::run(&mut connections, count, step).await?;
        let took = start.elapsed();
        let cpu_seconds = measured.process.cpu_seconds()? - before;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let requests = count as f64;
        Ok(Round {
            cpu_micros: cpu_seconds * 1e6 / requests,
            per_second: requests / took.as_secs_f64(),
            latencies,
        })
    }

    fn direct(&self) -> Measured<'_> {
        let target = Target {
            address: self.upstream_address,
            paths: upstream_paths(),
            key: None,
            client: Client::Legacy,
        };
        Measured { name: "direct", process: &self.upstream, target }
    }

    fn through_nginx(&self, path: Option<&str>) -> Measured<'_> {
        let paths = path.map_or_else(upstream_paths, |path| vec![path.to_owned()]);
        let target = Target { address: self.nginx.address, paths, key: None, client: Client::Legacy };
        Measured { name: "nginx", process: &self.nginx.process, target }
    }
}

fn measured<'a>(hub: &Hub, process: &'a Process) -> Measured<'a> {
    Measured { name: "hub", process, target: hub.target.clone() }
}

/// The median time from the start of the process to its first answer, in milliseconds.
async fn start_time(hub: &Hub) -> Result<f64> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let (process, took) = hub.start().await?;
        starts.push(took.as_secs_f64() * 1e3);
        drop(process);
    }
    Ok(median(starts))
}

fn upstream_paths() -> Vec<String> {
    (0..SERVERS).map(|server| format!("/s{server}")).collect()
}

/// The rounds of each target, in the order in which they came first.
#[derive(Default)]
struct Rounds(Vec<(&'static str, Vec<Round>)>);

impl Rounds {
    fn add(&mut self, name: &'static str, round: Round) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rounds)) => rounds.push(round),
            None => self.0.push((name, vec![round])),
        }
    }

    fn rows(self, case: &'static str) -> impl Iterator<Item = Row> {
        self.0.into_iter().map(move |(target, rounds)| Row {
            case,
            target,
            cpu_micros: median(rounds.iter().map(|round| round.cpu_micros).collect()),
            per_second: median(rounds.iter().map(|round| round.per_second).collect()),
            p50_micros: median(rounds.iter().map(|round| round.latencies.quantile_micros(0.5)).collect()),
            p99_micros: median(rounds.iter().map(|round| round.latencies.quantile_micros(0.99)).collect()),
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The answer to `tools/list` once every server is in it.
async fn whole_list(target: &Target) -> Result<Bytes> {
    let mut connection = Connection::open(target, 0).await?;
    connection.set_up_session().await?;
    let answer = connection.post(list_tools()).await?;
    let parsed: Value = serde_json::from_slice(&answer.body)?;
    let tools = parsed["result"]["tools"].as_array().map_or(0, Vec::len);
    if tools != SERVERS * TOOLS {
        bail!("the hub lists {tools} tools instead of {}", SERVERS * TOOLS);
    }
    Ok(answer.body)
}

async fn first_tool(target: &Target) -> Result<String> {
    let parsed: Value = serde_json::from_slice(&whole_list(target).await?)?;
    let name = parsed["result"]["tools"][0]["name"].as_str().context("a tool without a name")?;
    Ok(name.to_owned())
}

async fn wait_for(address: SocketAddr) -> Result<()> {
    let connecting = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(UPSTREAM_TIMEOUT, connecting).await.context("does not listen")
}
