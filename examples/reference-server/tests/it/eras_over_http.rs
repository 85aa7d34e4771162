//! Pinned eras over HTTP: the other era is unknown.

use anyhow::Result;
use serde_json::json;
use tokio::process::Command;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{self, LEGACY, MODERN};
use trunkline_tests::process::run;

use crate::http_server::{BINARY, HttpServer, LIMIT};

#[tokio::test]
async fn a_legacy_server_refuses_discover_as_if_it_were_nonsense() -> Result<()> {
    let server = HttpServer::start(&["--era", "legacy"]).await?;
    let body = message::request("1", "server/discover", &message::with_modern_meta("{}", "{}")?);
    for headers in [&[][..], &[("mcp-protocol-version", MODERN), ("mcp-method", "server/discover")]] {
        let answer = server.endpoint().post(body.clone(), headers).await?.expect_status(400)?.json()?;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32000), &json!(null)), "{answer}");
    }
    let client = LegacyClient::connect(server.endpoint()).await?;
    assert!(client.session().is_some());
    assert_eq!(client.request("server/discover", "{}").await?.error()?.code, -32601);
    assert_eq!(client.initialized().result_value()?["protocolVersion"], LEGACY);
    Ok(())
}

#[tokio::test]
async fn a_modern_server_names_its_versions_to_who_initializes() -> Result<()> {
    let server = HttpServer::start(&["--era", "modern"]).await?;
    let body = message::request("1", "initialize", &message::initialize_params(LEGACY, "{}"));
    let answer = server.endpoint().post(body, &[]).await?.expect_status(400)?;
    assert_eq!(answer.header("mcp-session-id"), None);
    let answer = answer.json()?;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert_eq!(answer["error"]["data"]["supported"], json!([MODERN]), "{answer}");
    server.endpoint().get(&[("accept", "text/event-stream")]).await?.expect_status(405)?;
    let client = ModernClient::new(server.endpoint());
    assert_eq!(
        client.request("server/discover", "{}").await?.result_value()?["supportedVersions"],
        json!([MODERN])
    );
    Ok(())
}

#[tokio::test]
async fn a_server_of_both_eras_serves_both_at_once() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let legacy = LegacyClient::connect(server.endpoint()).await?;
    let modern = ModernClient::new(server.endpoint());
    let tools = legacy.request("tools/list", "{}").await?.entries("tools")?;
    assert_eq!(tools, modern.request("tools/list", "{}").await?.entries("tools")?);
    Ok(())
}

#[tokio::test]
async fn a_server_listens_on_loopback_alone() -> Result<()> {
    let mut command = Command::new(BINARY);
    command.args(["--listen", "0.0.0.0:0"]);
    let refused = run(command, LIMIT).await?;
    assert!(!refused.status.success() && refused.stderr.contains("no loopback address"), "{refused:?}");
    Ok(())
}
