//! Pinned eras over standard input and output: the other era is unknown.

use anyhow::Result;
use serde_json::json;
use trunkline_tests::message::LEGACY;

use crate::pipe::Pipe;

#[tokio::test]
async fn a_legacy_server_does_not_know_discover_and_can_be_initialized_after() -> Result<()> {
    let mut pipe = Pipe::start(&["--era", "legacy"])?;
    let answer = pipe.ask_modern("server/discover", json!({}), &json!({})).await?;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let client = json!({ "name": "pipe", "version": "1" });
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client });
    let answer = pipe.ask("initialize", &params).await?;
    assert_eq!(answer["result"]["protocolVersion"], LEGACY, "{answer}");
    assert_eq!(answer["result"]["capabilities"].get("extensions"), None, "{answer}");
    assert!(pipe.end().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_legacy_server_serves_a_request_with_modern_metadata_as_its_own() -> Result<()> {
    let mut pipe = Pipe::legacy(&["--era", "legacy"], &json!({})).await?;
    let answer = pipe.ask_modern("tools/list", json!({}), &json!({})).await?;
    assert!(answer["result"]["tools"].is_array(), "{answer}");
    assert_eq!(answer["result"].get("resultType"), None, "{answer}");
    let answer = pipe.ask("ping", &json!({})).await?;
    assert_eq!(answer["result"], json!({}), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_modern_server_refuses_initialize_and_serves_on() -> Result<()> {
    let mut pipe = Pipe::start(&["--era", "modern"])?;
    let client = json!({ "name": "pipe", "version": "1" });
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client });
    let answer = pipe.ask("initialize", &params).await?;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]), "{answer}");
    let answer = pipe.ask_modern("server/discover", json!({}), &json!({})).await?;
    assert_eq!(answer["result"]["supportedVersions"], json!(["2026-07-28"]), "{answer}");
    let answer = pipe.ask_modern("tools/call", json!({ "name": "test_simple_text" }), &json!({})).await?;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_server_of_both_eras_serves_as_the_client_opens() -> Result<()> {
    let mut modern = Pipe::start(&[])?;
    let answer = modern.ask_modern("tools/list", json!({}), &json!({})).await?;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    let mut legacy = Pipe::legacy(&[], &json!({})).await?;
    let answer = legacy.ask("tools/list", &json!({})).await?;
    assert_eq!(answer["result"].get("resultType"), None, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_server_ends_with_its_input() -> Result<()> {
    assert!(Pipe::legacy(&[], &json!({})).await?.end().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_legacy_server_serves_nothing_before_initialize() -> Result<()> {
    let mut pipe = Pipe::start(&["--era", "legacy"])?;
    let answer = pipe.ask_modern("tools/list", json!({}), &json!({})).await?;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let answer = pipe.ask("ping", &json!({})).await?;
    assert_eq!(answer["result"], json!({}), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_client_may_give_up_its_first_question() -> Result<()> {
    for era in ["legacy", "modern", "both"] {
        let mut pipe = Pipe::start(&["--era", era])?;
        pipe.ask_modern("server/discover", json!({}), &json!({})).await?;
        let params = json!({ "requestId": 1 });
        pipe.write(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }))
            .await?;
        let answer = pipe.ask_modern("server/discover", json!({}), &json!({})).await?;
        assert!(answer["id"] == 2, "{era}: {answer}");
    }
    Ok(())
}
