//! `trunkline demo`.

mod announcement;
mod sample_config;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use trunkline_model::Secret;

use super::key::{Wanted, create};
use crate::DataDir;
use crate::api::Api;
use crate::config::{Config, DEFAULT_LISTEN};
use crate::output::{Outcome, Output};
use crate::serve::{self, Ready, ServeOptions};
use announcement::Announcement;

/// How long the key of a demonstration is good.
const LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Run a hub with a sample server, nothing to configure.
///
/// Serves the profile `demo` with a sample MCP server that is part of this program, and with the reference servers
/// `everything`, `memory` and `time` where npx or uvx is installed. Prints the endpoint, a key that is good for 30
/// days, and the line to paste into a client.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline demo
  trunkline demo --listen 127.0.0.1:8080 --only-sample")]
pub(super) struct DemoArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// The directory with the database and the secret key.
    #[arg(long, value_name = "DIR", default_value = "trunkline-data/demo")]
    data: PathBuf,
    /// Leave out the reference servers.
    #[arg(long)]
    only_sample: bool,
}

pub(super) async fn run(args: DemoArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = sample_config::build(args.listen, args.only_sample)?;
    let data = DataDir::new(&args.data);
    let key = Box::pin(new_key(&data, &config)).await?;
    let servers = config.servers.keys().map(ToString::to_string).collect();
    let announce = move |ready: Ready| {
        let announcement = Announcement::new(&ready.public_url, &key, servers);
        output.result(&announcement, &announcement);
    };
    let options = ServeOptions {
        config,
        config_path: None,
        data_dir: args.data,
        listen: Some(args.listen),
        quiet: true,
        on_ready: Some(Box::new(announce)),
    };
    serve::run(options).await?;
    Ok(Outcome::Done)
}

/// A key for the profile, made before the hub opens the database.
async fn new_key(data: &DataDir, config: &Config) -> anyhow::Result<Secret> {
    let wanted = Wanted {
        profile: sample_config::profile()?,
        name: "demo".to_owned(),
        expires: Some(LIFETIME),
        owner: None,
    };
    let api = Api::alone(data, config).await?;
    let created = create(&wanted, &api).await;
    api.close().await;
    Ok(Secret::new(created?.key))
}
