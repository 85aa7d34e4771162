//! The official conformance suite for authorization servers.

use anyhow::{Context as _, Result};
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::http::free_port;

use super::clients::{authorize_url_in, deliver};
use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_for_authorization_servers_passes() -> Result<()> {
    let Some(client) = Client::or_skip("the_suite_for_authorization_servers_passes")? else { return Ok(()) };
    let mut stage = Stage::with("").await?;
    let port = free_port().await?.to_string();
    let id = "suite";
    let redirect = format!("http://127.0.0.1:{port}/callback");
    stage.hub.cli(&["client", "create", id, "--redirect-uri", &redirect]).await?;
    let mut command = client.command(&client.packages.npm_bin("conformance"));
    command.args(["authorization", "--url", stage.hub.base(), "--client-id", id, "--port", &port]);
    command.args(["--resource", &stage.resource("team")]);
    let mut suite = Dialogue::start(command)?;
    let base = stage.hub.base().to_owned();
    let url = suite.find(|line| authorize_url_in(line, &base)).await?;
    // The suite begins to listen only after it has shown what to open.
    let mut browser = std::mem::take(&mut stage.browser).stopping_at(&redirect);
    let page = browser.open(&url).await?;
    let page = browser.submit(&page.form("consent")?, "allow").await?;
    deliver(&page.left_for.context("the browser was sent nowhere")?).await?;
    let (passed, written) = suite.end().await?;
    assert!(passed, "{written}");
    let total = written.lines().find(|line| line.starts_with("Total:")).context("no summary")?;
    assert_eq!(total, "Total: 3 passed, 0 failed");
    Ok(())
}
