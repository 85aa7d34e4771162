//! The official conformance suite through the hub, in every pairing of eras.
//!
//! Behind the hub is the reference server, which passes the whole suite itself:
//! what fails here is lost on the way. `conformance/*.yaml` lists exactly the
//! checks that fail today, each with its reason.
//!
//! The client half turns it round: the suite is the server behind the hub, and
//! judges the hub as its client.

mod as_client;
mod baseline;
mod cell;
mod results;
mod run;

use anyhow::Result;

use as_client::Pair;
use cell::{Cell, Era, Servers};

#[tokio::test(flavor = "multi_thread")]
async fn cell_legacy_to_legacy() -> Result<()> {
    run::compare(Cell { client: Era::Legacy, server: Era::Legacy, servers: Servers::One }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_legacy_to_modern() -> Result<()> {
    run::compare(Cell { client: Era::Legacy, server: Era::Modern, servers: Servers::One }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_modern_to_legacy() -> Result<()> {
    run::compare(Cell { client: Era::Modern, server: Era::Legacy, servers: Servers::One }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_modern_to_modern() -> Result<()> {
    run::compare(Cell { client: Era::Modern, server: Era::Modern, servers: Servers::One }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_legacy_to_legacy_among_three() -> Result<()> {
    run::compare(Cell { client: Era::Legacy, server: Era::Legacy, servers: Servers::Three }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_legacy_to_modern_among_three() -> Result<()> {
    run::compare(Cell { client: Era::Legacy, server: Era::Modern, servers: Servers::Three }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_modern_to_legacy_among_three() -> Result<()> {
    run::compare(Cell { client: Era::Modern, server: Era::Legacy, servers: Servers::Three }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn cell_modern_to_modern_among_three() -> Result<()> {
    run::compare(Cell { client: Era::Modern, server: Era::Modern, servers: Servers::Three }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_client_legacy_to_legacy() -> Result<()> {
    as_client::compare(Pair { client: Era::Legacy, server: Era::Legacy }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_client_legacy_to_modern() -> Result<()> {
    as_client::compare(Pair { client: Era::Legacy, server: Era::Modern }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_client_modern_to_legacy() -> Result<()> {
    as_client::compare(Pair { client: Era::Modern, server: Era::Legacy }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_client_modern_to_modern() -> Result<()> {
    as_client::compare(Pair { client: Era::Modern, server: Era::Modern }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_client_authorize() -> Result<()> {
    as_client::authorize().await
}
