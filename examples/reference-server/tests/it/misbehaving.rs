//! Misbehaviour, as asked for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::json;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};

use crate::http_server::{HttpServer, LIMIT};
use crate::pipe::Pipe;

#[tokio::test]
async fn pages_can_go_on_for_ever() -> Result<()> {
    let server = HttpServer::start(&["--endless-pages"]).await?;
    let client = ModernClient::new(server.endpoint());
    let mut cursors = BTreeSet::new();
    let mut params = "{}".to_owned();
    for _ in 0..5 {
        let cursor = client.request("tools/list", &params).await?.next_cursor()?.context("an end")?;
        params = json!({ "cursor": cursor }).to_string();
        cursors.insert(cursor);
    }
    assert_eq!(cursors.len(), 1);
    Ok(())
}

#[tokio::test]
async fn pages_can_be_small() -> Result<()> {
    let server = HttpServer::start(&["--page-size", "7"]).await?;
    let client = LegacyClient::connect(server.endpoint()).await?;
    let first = client.request("tools/list", "{}").await?;
    assert_eq!(first.entries("tools")?.len(), 7);
    let next = json!({ "cursor": first.next_cursor()?.context("no second page")? });
    assert_eq!(client.request("tools/list", &next.to_string()).await?.entries("tools")?.len(), 7);
    Ok(())
}

#[tokio::test]
async fn a_connection_is_cut_within_the_answer() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let call = r#"{"name":"cut","arguments":{}}"#;
    let legacy = LegacyClient::connect(server.endpoint()).await?;
    let modern = ModernClient::new(server.endpoint());
    for stream in [legacy.open("7", "tools/call", call).await?, modern.open("7", "tools/call", call).await?] {
        assert!(stream.is_event_stream());
        assert!(stream.whole().await.is_err(), "the answer was whole");
    }
    // It serves on.
    modern.request("tools/list", "{}").await?.result()?;
    Ok(())
}

#[tokio::test]
async fn a_process_breaks_off_within_a_line() -> Result<()> {
    let mut pipe = Pipe::legacy(&[], &json!({})).await?;
    let call = json!({ "name": "cut", "arguments": {} });
    pipe.write(&json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call })).await?;
    let (rest, status) = pipe.rest().await?;
    assert!(rest.starts_with("{\"jsonrpc\"") && !rest.ends_with('\n'), "{rest:?}");
    assert!(!status.success());
    Ok(())
}

#[tokio::test]
async fn a_legacy_stream_that_ended_early_is_resumed() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = LegacyClient::connect(server.endpoint()).await?;
    let call = r#"{"name":"test_reconnection","arguments":{}}"#;
    let begun = client.open("5", "tools/call", call).await?.whole().await?;
    assert!(begun.messages()?.is_empty(), "{:?}", begun.body);
    let id = begun.text()?.lines().find_map(|line| line.strip_prefix("id:")).context("no event id")?.trim();
    let headers = [
        ("accept", "text/event-stream"),
        ("mcp-session-id", client.session().context("no session")?),
        ("last-event-id", id),
    ];
    let mut rest = server.endpoint().send(Method::GET, String::new(), &headers).await?;
    let event = rest.event().await?.context("nothing came")?;
    assert!(event.data.contains("after all"), "{}", event.data);
    Ok(())
}

#[tokio::test]
async fn a_crash_ends_the_process_with_the_code_asked_for() -> Result<()> {
    let mut pipe = Pipe::start(&[])?;
    let params = json!({ "name": "crash", "arguments": { "code": 3 }, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    } });
    pipe.write(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })).await?;
    let (rest, status) = pipe.rest().await?;
    assert_eq!((rest.as_str(), status.code()), ("", Some(3)));
    Ok(())
}

#[tokio::test]
async fn structured_content_can_lie() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = ModernClient::new(server.endpoint());
    let result = client.request("tools/call", r#"{"name":"lie","arguments":{}}"#).await?.result_value()?;
    assert_eq!(result["structuredContent"], json!({ "temperature": "warm", "wind": 3 }));
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_big() -> Result<()> {
    let server = HttpServer::start(&[]).await?;
    let client = ModernClient::new(server.endpoint());
    let answer = client.request("tools/call", r#"{"name":"big","arguments":{"bytes":3000000}}"#).await?;
    assert_eq!(answer.first_text()?.len(), 3_000_000);
    Ok(())
}

#[tokio::test]
async fn calls_can_be_slow_and_be_cancelled() -> Result<()> {
    let server = HttpServer::start(&["--delay-ms", "60"]).await?;
    let client = ModernClient::new(server.endpoint());
    let begun = Instant::now();
    client.request("tools/call", r#"{"name":"test_simple_text"}"#).await?.result()?;
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let params = r#"{"name":"slow","arguments":{"milliseconds":60000},"_meta":{"progressToken":1}}"#;
    let call = client.open("1", "tools/call", params);
    // No progress comes before half of the time: the client leaves while it waits.
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    let counted = async {
        loop {
            let answer = client.request("tools/call", r#"{"name":"count_calls"}"#).await?.result_value()?;
            if answer["structuredContent"]["cancelled"] == 1 {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(LIMIT, counted).await.context("nothing was cancelled")?
}
