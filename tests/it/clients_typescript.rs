//! The TypeScript SDKs: `@modelcontextprotocol/sdk` 1.x over streamable HTTP
//! and HTTP+SSE, and `@modelcontextprotocol/client` 2.x in both eras.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::client_program::Client;
use trunkline_tests::reference_server::ReferenceServer;

use crate::target::Target;

/// Lists and uses tools, prompts and resources of the everything server.
pub(crate) async fn use_everything(
    client: &Client,
    target: &Target,
    script: &str,
    kind: &str,
) -> Result<Value> {
    let plan = json!({
        "tool": target.tool("echo"),
        "arguments": { "message": "hi" },
        "prompt": target.tool("simple-prompt"),
        "resource": "demo://resource/static/document/features.md",
        "progress": {
            "tool": target.tool("trigger-long-running-operation"),
            "arguments": { "duration": 1, "steps": 4 },
        },
    });
    let arguments = [target.url.as_str(), &target.key, kind, &plan.to_string()];
    let seen = client.node_script(script, &arguments).await?;
    assert!(seen["tools"].to_string().contains(&target.tool("echo")), "{seen}");
    assert_eq!(seen["call"]["content"][0]["text"], "Echo: hi");
    assert_eq!(seen["prompt"]["messages"][0]["role"], "user");
    assert_eq!(seen["resource"]["contents"][0]["mimeType"], "text/markdown");
    Ok(seen)
}

async fn hub_serves(test: &str, script: &str, kind: &str) -> Result<Option<Value>> {
    let Some(client) = Client::or_skip(test)? else { return Ok(None) };
    let mut target = Target::transparent(&client).await?;
    if kind == "sse" {
        target.url += "/sse";
    }
    let seen = use_everything(&client, &target, script, kind).await.with_context(|| target.log())?;
    Ok(Some(seen))
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_1_uses_streamable_http() -> Result<()> {
    let Some(seen) =
        hub_serves("typescript_sdk_1_uses_streamable_http", "typescript_sdk.mjs", "http").await?
    else {
        return Ok(());
    };
    assert!(seen["session"].is_string(), "{seen}");
    assert_eq!(seen["progress"], 4, "a report for each step");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_1_uses_http_and_sse() -> Result<()> {
    let Some(seen) = hub_serves("typescript_sdk_1_uses_http_and_sse", "typescript_sdk.mjs", "sse").await?
    else {
        return Ok(());
    };
    // The last report may lose the race with the answer: straight at the server it does.
    assert!(seen["progress"].as_u64() >= Some(3), "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_client_2_speaks_the_legacy_era() -> Result<()> {
    let test = "typescript_client_2_speaks_the_legacy_era";
    let Some(seen) = hub_serves(test, "typescript_client.mjs", "default").await? else { return Ok(()) };
    assert_eq!(seen["version"], "2025-11-25");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_client_2_finds_the_modern_era() -> Result<()> {
    let test = "typescript_client_2_finds_the_modern_era";
    let Some(seen) = hub_serves(test, "typescript_client.mjs", "auto").await? else { return Ok(()) };
    assert_eq!(seen["version"], "2026-07-28");
    Ok(())
}

/// Where the reference server sends users.
const PAGE: &str = "https://example.com/reference-server/visit";

/// The user visits a page because the server asks, whatever it speaks.
async fn hub_sends_to_page(test: &str, script: &str, kinds: &[&str]) -> Result<Vec<(&'static str, Value)>> {
    let Some(client) = Client::or_skip(test)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for era in ["legacy", "modern"] {
        let server = ReferenceServer::start(&["--era", era]).await?;
        let target = Target::reference(&server).await?;
        let mut arguments = vec![target.url.as_str(), &target.key];
        arguments.extend(kinds);
        arguments.push(era);
        let seen = client.node_script(script, &arguments).await;
        let seen = seen.with_context(|| format!("a {era} server: {}", target.log()))?;
        let asked = &seen["asked"][0];
        assert_eq!((&asked["mode"], &asked["url"]), (&json!("url"), &json!(PAGE)), "{seen}");
        assert!(seen["text"].as_str().is_some_and(|text| text.contains("action=accept")), "{seen}");
        all.push((era, seen));
    }
    Ok(all)
}

/// A client of 2025-11-25 hears that the visit is over, and of one before the
/// call by an error.
fn assert_legacy_visits(server: &str, seen: &Value) {
    assert!(seen["asked"][0]["id"].is_string(), "{seen}");
    if server == "legacy" {
        assert_eq!(seen["completed"], seen["asked"][0]["id"], "{seen}");
        assert_eq!(seen["error"]["code"], -32042, "{seen}");
        assert_eq!(seen["error"]["elicitations"][0]["url"], PAGE, "{seen}");
        assert_eq!(seen["again"], "The user was sent to the page before.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_sdk_1_visits_a_page() -> Result<()> {
    for (server, seen) in
        hub_sends_to_page("typescript_sdk_1_visits_a_page", "typescript_sdk_asking.mjs", &[]).await?
    {
        assert_legacy_visits(server, &seen);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_client_2_visits_a_page_in_the_legacy_era() -> Result<()> {
    let test = "typescript_client_2_visits_a_page_in_the_legacy_era";
    for (server, seen) in hub_sends_to_page(test, "typescript_client_asking.mjs", &["default"]).await? {
        assert_eq!(seen["version"], "2025-11-25");
        assert_legacy_visits(server, &seen);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_client_2_visits_a_page_in_the_modern_era() -> Result<()> {
    let test = "typescript_client_2_visits_a_page_in_the_modern_era";
    for (_, seen) in hub_sends_to_page(test, "typescript_client_asking.mjs", &["auto"]).await? {
        assert_eq!(seen["version"], "2026-07-28");
    }
    Ok(())
}
