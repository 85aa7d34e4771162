//! `trunkline serve`.

use std::net::SocketAddr;

use super::hub_args::{HubArgs, in_words};
use crate::config::{self, Config};
use crate::output::{Outcome, Output};
use crate::serve::{self, ServeOptions};

/// Run the hub.
///
/// The configuration is read again when its file changes and on SIGHUP; a broken file keeps the old one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline serve                                 with ./trunkline.yaml and ./trunkline-data
  trunkline serve --config hub.yaml --data /var/lib/trunkline --listen 0.0.0.0:7400")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    hub: HubArgs,
    /// The address to listen on, in place of the configuration's.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: ServeArgs, output: Output) -> anyhow::Result<Outcome> {
    let config_path = args.hub.config_path();
    let config = match (&config_path, args.listen) {
        (None, _) => {
            output.note(
                "no configuration file: starting without servers and profiles (name one with --config)",
            );
            Config::default()
        }
        (Some(path), None) => config::load(path).map_err(in_words)?,
        (Some(path), Some(address)) => config::load_for(path, address).map_err(in_words)?,
    };
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let data_dir = args.hub.data().path().to_owned();
    let options = ServeOptions {
        config,
        config_path,
        data_dir,
        listen: args.listen,
        quiet: output.is_json(),
        on_ready: None,
    };
    serve::run(options).await?;
    Ok(Outcome::Done)
}
