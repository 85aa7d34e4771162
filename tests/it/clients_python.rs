//! The Python SDK, `mcp` 2.x.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::client_program::Client;
use trunkline_tests::reference_server::ReferenceServer;

use crate::target::Target;

/// Lists and uses tools, prompts and resources of the everything server.
pub(crate) async fn use_everything(client: &Client, target: &Target, mode: &str) -> Result<Value> {
    let plan = json!({
        "tool": target.tool("echo"),
        "arguments": { "message": "hi" },
        "prompt": target.tool("simple-prompt"),
        "resource": "demo://resource/static/document/features.md",
    });
    let arguments = [target.url.as_str(), &target.key, mode, &plan.to_string()];
    let seen = client.python_script("python_client.py", &arguments).await?;
    assert!(seen["tools"].to_string().contains(&target.tool("echo")), "{seen}");
    assert_eq!(seen["call"]["content"][0]["text"], "Echo: hi");
    assert_eq!(seen["prompt"]["messages"][0]["role"], "user");
    assert_eq!(seen["resource"]["contents"][0]["mimeType"], "text/markdown");
    Ok(seen)
}

async fn hub_serves(test: &str, mode: &str, version: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let target = Target::transparent(&client).await?;
    let seen = use_everything(&client, &target, mode).await.with_context(|| target.log())?;
    assert_eq!(seen["version"], version);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_finds_the_modern_era() -> Result<()> {
    hub_serves("python_client_finds_the_modern_era", "auto", "2026-07-28").await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_speaks_the_legacy_era() -> Result<()> {
    hub_serves("python_client_speaks_the_legacy_era", "legacy", "2025-11-25").await
}

/// Its model is asked, its user fills in a form and visits a page, whatever the server speaks.
async fn hub_asks(test: &str, mode: &str, version: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    for era in ["legacy", "modern"] {
        let server = ReferenceServer::start(&["--era", era]).await?;
        let target = Target::reference(&server).await?;
        let arguments = [target.url.as_str(), &target.key, mode];
        let seen = client.python_script("python_asking.py", &arguments).await;
        let seen = seen.with_context(|| format!("a {era} server: {}", target.log()))?;
        assert_eq!(seen["version"], version);
        let asked = json!([
            { "sampling": "Say it" },
            { "form": "Who are you?" },
            { "url": "Please visit this page." },
        ]);
        assert_eq!(seen["asked"], asked, "a {era} server");
        assert_eq!(seen["test_sampling"], "LLM response: said by the model");
        let form = seen["test_elicitation"].as_str().context("no answer to the form")?;
        assert!(form.contains("action=accept") && form.contains("ada@example.com"), "{form}");
        let visit = seen["ask_url"].as_str().context("no answer to the visit")?;
        assert!(visit.contains("action=accept"), "{visit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_is_asked_in_the_modern_era() -> Result<()> {
    hub_asks("python_client_is_asked_in_the_modern_era", "auto", "2026-07-28").await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_is_asked_in_the_legacy_era() -> Result<()> {
    hub_asks("python_client_is_asked_in_the_legacy_era", "legacy", "2025-11-25").await
}
