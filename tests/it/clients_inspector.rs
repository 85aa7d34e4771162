//! The command line of the MCP Inspector, in each era it can be told to speak.

use anyhow::{Context as _, Result};
use serde_json::Value;
use trunkline_tests::client_program::Client;

use crate::target::Target;

/// Runs one method and gives what it printed. The key goes by a header.
pub(crate) async fn inspect(client: &Client, target: &Target, era: &str, method: &[&str]) -> Result<Value> {
    let mut command = client.command(&client.packages.npm_bin("mcp-inspector"));
    command.args(["--cli", "--server-url", &target.url, "--transport", "http", "--protocol-era", era]);
    command.args(["--header", &format!("Authorization: Bearer {}", target.key)]);
    command.args(["--stored-auth-only", "--format", "json", "--method"]).args(method);
    let printed = client.run(command).await?.success().with_context(|| format!("{method:?} as {era}"))?;
    let value: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    Ok(value["result"].clone())
}

/// Lists and uses tools, resources and prompts of the everything server.
pub(crate) async fn use_everything(client: &Client, target: &Target, era: &str) -> Result<()> {
    let tools = inspect(client, target, era, &["tools/list"]).await?;
    let echo = target.tool("echo");
    assert!(names(&tools["tools"], "name").contains(&echo), "{tools}");
    let call = ["tools/call", "--tool-name", &echo, "--tool-args-json", r#"{"message":"hi"}"#];
    let called = inspect(client, target, era, &call).await?;
    assert_eq!(called["content"][0]["text"], "Echo: hi");
    let resources = inspect(client, target, era, &["resources/list"]).await?;
    let uri = resources["resources"][0]["uri"].as_str().context("no resource")?;
    let read = inspect(client, target, era, &["resources/read", "--uri", uri]).await?;
    assert_eq!(read["contents"][0]["uri"], uri);
    let prompts = inspect(client, target, era, &["prompts/list"]).await?;
    let simple = format!("{}simple-prompt", target.prefix);
    assert!(names(&prompts["prompts"], "name").contains(&simple), "{prompts}");
    let prompt = inspect(client, target, era, &["prompts/get", "--prompt-name", &simple]).await?;
    assert_eq!(prompt["messages"][0]["role"], "user");
    Ok(())
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| entry[key].as_str()).map(str::to_owned).collect()
}

async fn hub_serves(test: &str, era: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let target = Target::transparent(&client).await?;
    use_everything(&client, &target, era).await.with_context(|| target.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_as_a_legacy_client() -> Result<()> {
    hub_serves("inspector_uses_everything_as_a_legacy_client", "legacy").await
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_and_finds_the_era() -> Result<()> {
    hub_serves("inspector_uses_everything_and_finds_the_era", "auto").await
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_as_a_modern_client() -> Result<()> {
    hub_serves("inspector_uses_everything_as_a_modern_client", "modern").await
}
