//! What a server asks outside of any request reaches the client of its session.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::Streaming;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::LEGACY;
use trunkline_tests::packages::{Packages, StdioServer};

use crate::target::configuration;

const PATIENCE: Duration = Duration::from_secs(30);

async fn allowed_folders(client: &LegacyClient) -> Result<String> {
    let params = call_params("list_allowed_directories", "{}");
    client.request("tools/call", &params).await?.first_text()
}

/// The next question for roots on a stream; for ever when none comes.
async fn roots_question(stream: &mut Streaming) -> Result<Value> {
    while let Some(event) = timeout(PATIENCE, stream.event()).await.context("nobody asks")?? {
        if event.data.contains("roots/list") {
            return Ok(serde_json::from_str(&event.data)?);
        }
    }
    std::future::pending().await
}

/// The filesystem server asks for roots when its session has begun, and lets
/// its client see those folders then, whatever it was started with.
#[tokio::test(flavor = "multi_thread")]
async fn the_filesystem_server_learns_the_roots_of_its_client() -> Result<()> {
    let Some(packages) = Packages::or_skip("the_filesystem_server_learns_the_roots_of_its_client")? else {
        return Ok(());
    };
    let (configured, root, other) = (tempdir()?, tempdir()?, tempdir()?);
    let path =
        |folder: &TempDir| Ok::<_, std::io::Error>(folder.path().canonicalize()?.display().to_string());
    let (root, other) = (path(&root)?, path(&other)?);
    let line = packages.stdio_server(StdioServer::Filesystem, &[&configured.path().display().to_string()]);
    let hub = TestHub::start(&configuration(&[("files", line)], "files: { prefix: \"\" }")).await?;
    let endpoint = hub.endpoint("team").with_key(&hub.create_key("team").await?);
    let client = LegacyClient::connect_as(endpoint, LEGACY, r#"{"roots":{"listChanged":true}}"#).await?;
    let mut stream = client.listen().await?;
    client.request("tools/list", "{}").await?;
    for root in [&root, &other] {
        client.notify("notifications/roots/list_changed", "{}").await?;
        // The call may be what starts the server, or hands it over: then it asks in its course.
        let mut call = client.open("7", "tools/call", &call_params("list_allowed_directories", "{}")).await?;
        let question = tokio::select! {
            question = roots_question(&mut stream) => question,
            question = roots_question(&mut call) => question,
        };
        let question = question.with_context(|| hub.output())?;
        let roots = json!({ "roots": [{ "uri": format!("file://{root}") }] });
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": roots });
        client.post(answer.to_string()).await?.expect_status(202)?;
        let asked = Instant::now();
        while !allowed_folders(&client).await?.contains(root) {
            ensure!(asked.elapsed() < PATIENCE, "it does not see {root}");
        }
    }
    Ok(())
}
