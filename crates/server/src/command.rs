//! The command line: one file for each command.

mod audit;
mod check;
mod client;
mod connect;
mod connection;
mod demo;
mod doctor;
mod hub_args;
mod import;
mod key;
mod login;
mod named;
mod profile;
mod proxy;
mod schema;
mod serve;
mod server;
mod team;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::{Outcome, Output};
use crate::{sample, telemetry};

/// One endpoint per team for every MCP server: sign-in, policy and audit in one place.
#[derive(Debug, Parser)]
#[command(
    name = "trunkline",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  trunkline demo                                  a working hub with a sample server, nothing to configure
  trunkline check trunkline.yaml                  every fault of a configuration, with line and column
  trunkline serve --config trunkline.yaml
  trunkline key create --profile engineering

Exit codes: 0 done, 1 failed or the answer is no, 2 the command line is wrong."
)]
pub struct Cli {
    /// Print results as JSON on standard output, and errors as JSON on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Check(check::CheckArgs),
    Schema(schema::SchemaArgs),
    Import(import::ImportArgs),
    Connect(connect::ConnectArgs),
    User(user::UserArgs),
    Team(team::TeamArgs),
    Login(login::LoginArgs),
    Connection(connection::ConnectionArgs),
    Key(key::KeyArgs),
    Client(client::ClientArgs),
    Server(server::ServerArgs),
    Profile(profile::ProfileArgs),
    Proxy(proxy::ProxyArgs),
    Doctor(doctor::DoctorArgs),
    Audit(audit::AuditArgs),
    /// The sample MCP server that `demo` runs as a child.
    #[command(hide = true)]
    SampleServer,
}

/// Runs the command to its end.
pub async fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    match dispatch(cli.command, output).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::FAILURE,
        Err(error) => {
            output.error(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command, output: Output) -> anyhow::Result<Outcome> {
    let level = match command {
        Command::Serve(_) => "info",
        _ => "warn",
    };
    telemetry::start(level)?;
    match command {
        Command::Serve(args) => Box::pin(serve::run(args, output)).await,
        Command::Demo(args) => Box::pin(demo::run(args, output)).await,
        Command::Check(args) => Ok(check::run(&args, output)),
        Command::Schema(args) => Ok(schema::run(&args, output)),
        Command::Import(args) => import::run(&args, output),
        Command::Connect(args) => connect::run(&args, output),
        Command::User(args) => Box::pin(user::run(args, output)).await,
        Command::Team(args) => Box::pin(team::run(args, output)).await,
        Command::Login(args) => Box::pin(login::run(args, output)).await,
        Command::Connection(args) => Box::pin(connection::run(args, output)).await,
        Command::Key(args) => Box::pin(key::run(args, output)).await,
        Command::Client(args) => Box::pin(client::run(args, output)).await,
        Command::Server(args) => Box::pin(server::run(args, output)).await,
        Command::Profile(args) => Box::pin(profile::run(args, output)).await,
        Command::Proxy(args) => Box::pin(proxy::run(&args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(&args, output)).await,
        Command::Audit(args) => Box::pin(audit::run(args, output)).await,
        Command::SampleServer => {
            sample::run().await?;
            Ok(Outcome::Done)
        }
    }
}
