//! What the hub costs: CPU per request and latency beside the same load
//! straight at the upstream and through nginx, in one run; memory; start.

mod cases;
mod hub;
mod load;
mod nginx;
mod process;
mod report;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum as _};

use cases::{Bench, Case};

/// Measure the hub beside nginx and beside its upstream.
///
/// Example: cargo build --profile dist -p trunkline -p trunkline-bench && target/dist/trunkline-bench
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Serve the scripted MCP servers that everything is measured against.
    Upstream {
        /// A loopback address.
        #[arg(long)]
        listen: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// The hub to measure; by default the one beside this program.
    #[arg(long)]
    hub: Option<PathBuf>,
    /// Measure the upstream and nginx alone.
    #[arg(long, conflicts_with = "hub")]
    without_hub: bool,
    /// Measure only this; all by default.
    #[arg(long, value_enum)]
    only: Vec<Case>,
    /// Requests per round and target.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections that send at the same time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Sessions held open for the memory figures.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Where the figures are written as JSON.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Fail when a target is missed.
    #[arg(long)]
    enforce: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.mode {
        Some(Mode::Upstream { listen }) => upstream::serve(listen).await,
        None => run(cli.run).await,
    }
}

async fn run(options: Run) -> Result<()> {
    let this = std::env::current_exe().context("the path of this program")?;
    let hub = options.hub.unwrap_or_else(|| this.with_file_name("trunkline"));
    let hub = (!options.without_hub).then_some(hub);
    let output = options.output.unwrap_or_else(report::default_path);
    let bench = Bench::start(
        &this,
        hub.as_deref(),
        cases::Size {
            requests: options.requests,
            rounds: options.rounds,
            connections: options.connections,
            sessions: options.sessions,
        },
    )
    .await?;
    let only = if options.only.is_empty() { Case::value_variants().to_vec() } else { options.only };
    let figures = bench.run(&only).await?;
    report::print(&figures)?;
    report::write(&figures, &output)?;
    let missed = figures.missed();
    if options.enforce && !missed.is_empty() {
        anyhow::bail!("missed targets: {}", missed.join(", "));
    }
    Ok(())
}
