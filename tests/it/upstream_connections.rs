//! Connections to upstream servers: one that the server has closed meanwhile
//! costs no caller an answer.

use std::time::Duration;

use anyhow::{Context as _, Result};
use trunkline_tests::connection::call_params;
use trunkline_tests::everything::EverythingServer;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::packages::Packages;

/// Node closes a connection 5 s after its last answer. Calls at about that
/// moment find it closing.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_at_the_moment_node_closes_is_answered() -> Result<()> {
    let test = "a_call_at_the_moment_node_closes_is_answered";
    let Some(packages) = Packages::or_skip(test)? else { return Ok(()) };
    let home = tempfile::tempdir()?;
    let server = EverythingServer::streamable_http(&packages, home.path()).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  upstream: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ upstream: {{}} }} }}\n",
        server.url
    ))
    .await?;
    hub.until_listed(&hub.endpoint("team")).await?;
    let mut calls = Vec::new();
    // Sessions of their own have connections of their own; each pauses a little longer than the one before.
    for number in 0..20 {
        let endpoint = hub.endpoint("team");
        calls.push(tokio::spawn(async move {
            let client = LegacyClient::connect(endpoint).await?;
            let params = call_params("upstream__echo", r#"{"message":"hi"}"#);
            client.request("tools/call", &params).await?.result()?;
            // The pause is the subject here, not a wait for something.
            tokio::time::sleep(Duration::from_millis(4_900 + 10 * number)).await;
            client.request("tools/call", &params).await?.result().map(str::to_owned)
        }));
    }
    for (number, call) in calls.into_iter().enumerate() {
        let answered = call.await?;
        answered.with_context(|| format!("call {number}:\n{}", hub.output()))?;
    }
    Ok(())
}
