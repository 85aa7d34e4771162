//! The first minute of a newcomer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;
use trunkline_tests::client_program::Client;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::process::Process;

use crate::clients_claude;
use crate::target::Target;

/// A running demonstration with the sample server alone, and what it announced.
async fn demo(folder: &std::path::Path) -> Result<(Process, Value)> {
    let mut command = hub::program(folder)?;
    command.args(["demo", "--json", "--only-sample", "--listen", "127.0.0.1:0"]);
    let mut process = Process::start(command)?;
    // The announcement is the first JSON on standard output; log lines are not JSON.
    process.line(Duration::from_secs(20), |line| line == "}").await?;
    let output = process.output();
    let lines = output.lines().skip_while(|line| *line != "{").collect::<Vec<_>>().join("\n");
    let mut values = serde_json::Deserializer::from_str(&lines).into_iter::<Value>();
    Ok((process, values.next().context("no JSON")??))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_answers_at_once_in_both_eras() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let (_process, announced) = demo(folder.path()).await?;
    let (url, key) = (announced["endpoint"].as_str(), announced["key"].as_str());
    let endpoint = Endpoint::new(url.context("no endpoint")?).with_key(key.context("no key")?);
    let call = call_params("sample__add", r#"{"a":2,"b":3}"#);
    let modern = ModernClient::new(endpoint.clone()).request("tools/call", &call).await?;
    let taken = started.elapsed();
    assert!(modern.first_text()?.contains('5'), "{}", modern.text());
    // The promise is one second after the build; a debug build on a loaded machine gets more.
    assert!(taken < Duration::from_secs(5), "{taken:?} to the first answer");
    let legacy = LegacyClient::connect(endpoint).await?.request("tools/call", &call).await?;
    assert!(legacy.first_text()?.contains('5'), "{}", legacy.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_connects_to_the_demo() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_connects_to_the_demo")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let (process, announced) = demo(folder.path()).await?;
    let mut target = Target::direct(announced["endpoint"].as_str().context("no endpoint")?);
    announced["key"].as_str().context("no key")?.clone_into(&mut target.key);
    let printed = clients_claude::health(&client, &target).await?;
    assert!(printed.contains("Connected"), "{printed}\n{}", process.output());
    Ok(())
}
