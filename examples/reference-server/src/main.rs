//! An MCP server that has every feature of the protocol in both of its eras, and
//! misbehaves on demand. It passes the official conformance suite for 2025-11-25
//! and for 2026-07-28, so what a client or a gateway in front of it fails is its
//! own failure.

mod capability;
mod change;
mod conversation;
mod era;

mod list;
mod log;
mod options;
mod prompt;
mod question;
mod resource;
mod seal;
mod server;
mod session;
mod shared;
mod skill;
mod stdio;
mod streamable_http;
mod tool;
mod unfinished;

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::options::Options;
use crate::shared::Shared;

#[tokio::main]
async fn main() -> Result<()> {
    // Standard output belongs to the protocol. What the library warns of is the errors that clients ask for.
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rmcp=off")),
        )
        .with_writer(io::stderr)
        .init();
    let options = Options::parse();
    let shared = Arc::new(Shared::new(options.conduct)?);
    match options.listen {
        Some(address) => streamable_http::serve(address, shared).await.context("cannot serve HTTP"),
        None => stdio::serve(shared).await.context("cannot serve standard input and output"),
    }
}
