//! Lists and resources that change, and who hears of it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::http::Streaming;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};

use crate::http_server::HttpServer;
use crate::pipe::Pipe;

const CHANGE_TOOLS: &str = r#"{"name":"test_trigger_tool_change","arguments":{}}"#;

async fn next(stream: &mut Streaming) -> Result<Value> {
    let event = stream.event().await?.context("the stream ended")?;
    Ok(serde_json::from_str(&event.data)?)
}

#[tokio::test]
async fn a_legacy_session_hears_of_a_new_tool_and_can_call_it() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = LegacyClient::connect(server.endpoint()).await?;
    let mut stream = client.listen().await?;
    client.request("tools/call", CHANGE_TOOLS).await?.result()?;
    assert_eq!(next(&mut stream).await?["method"], "notifications/tools/list_changed");
    let call = r#"{"name":"passing_tool","arguments":{}}"#;
    assert_eq!(client.request("tools/call", call).await?.first_text()?, "Still here.");
    client.request("tools/call", CHANGE_TOOLS).await?.result()?;
    assert_eq!(client.request("tools/call", call).await?.error()?.code, -32602);
    Ok(())
}

#[tokio::test]
async fn a_modern_subscription_hears_what_it_asked_for() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = ModernClient::new(server.endpoint());
    let wanted = json!({ "notifications": { "resourceSubscriptions": ["test://watched-resource"] } });
    let mut stream = client.open("\"watch\"", "subscriptions/listen", &wanted.to_string()).await?;
    let acknowledged = next(&mut stream).await?;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged", "{acknowledged}");
    client.request("tools/call", CHANGE_TOOLS).await?.result()?;
    client.request("tools/call", r#"{"name":"update_resource","arguments":{}}"#).await?.result()?;
    let update = next(&mut stream).await?;
    assert_eq!(update["method"], "notifications/resources/updated", "{update}");
    assert_eq!(update["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "watch", "{update}");
    Ok(())
}

#[tokio::test]
async fn a_legacy_process_hears_of_the_resource_it_subscribed_to_alone() -> Result<()> {
    let mut pipe = Pipe::legacy(&[], &json!({})).await?;
    let update = json!({ "name": "update_resource", "arguments": { "uri": "test://static-text" } });
    // Answered, and nothing came before the answer.
    assert!(pipe.ask("tools/call", &update).await?.get("result").is_some());
    let subscribe = json!({ "uri": "test://static-text" });
    assert_eq!(pipe.ask("resources/subscribe", &subscribe).await?["result"], json!({}));
    let mut methods = vec![pipe.ask("tools/call", &update).await?, pipe.read().await?];
    methods.retain(|message| message["method"] == "notifications/resources/updated");
    assert_eq!(methods.len(), 1);
    Ok(())
}
