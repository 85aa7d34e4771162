//! What is kept between two calls, and how long.

use anyhow::Result;
use serde_json::{Value, json};
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::Answer;

use crate::http_server::HttpServer;
use crate::pipe::Pipe;

const COUNTER: &str = r#"{"name":"counter","arguments":{}}"#;

fn count(answer: &Answer) -> Result<Value> {
    Ok(answer.result_value()?["structuredContent"]["count"].clone())
}

#[tokio::test]
async fn each_session_counts_for_itself() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let one = LegacyClient::connect(server.endpoint()).await?;
    let other = LegacyClient::connect(server.endpoint()).await?;
    for expected in [1, 2] {
        assert_eq!(count(&one.request("tools/call", COUNTER).await?)?, expected);
    }
    assert_eq!(count(&other.request("tools/call", COUNTER).await?)?, 1);
    Ok(())
}

#[tokio::test]
async fn without_sessions_each_call_is_the_first() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = ModernClient::new(server.endpoint());
    for _ in 0..2 {
        assert_eq!(count(&client.request("tools/call", COUNTER).await?)?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_process_counts_in_either_era() -> Result<()> {
    let call = json!({ "name": "counter", "arguments": {} });
    let mut legacy = Pipe::legacy(&[], &json!({})).await?;
    let mut modern = Pipe::start(&[])?;
    for expected in [1, 2] {
        let answer = legacy.ask("tools/call", &call).await?;
        assert_eq!(answer["result"]["structuredContent"]["count"], expected, "{answer}");
        let answer = modern.ask_modern("tools/call", call.clone(), &json!({})).await?;
        assert_eq!(answer["result"]["structuredContent"]["count"], expected, "{answer}");
    }
    Ok(())
}
