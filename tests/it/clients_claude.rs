//! Claude Code.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::process::Command;
use trunkline_tests::client_program::Client;
use trunkline_tests::hub;
use trunkline_tests::reference_server::ReferenceServer;
use trunkline_tests::scripted_messages::{DONE, PlannedCall, ScriptedMessages};

use crate::target::Target;

/// The program with everything switched off that would leave this machine.
fn claude(client: &Client) -> Command {
    let mut command = client.command(&client.packages.npm_bin("claude"));
    let off = ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY"];
    command.envs(off.map(|name| (name, "1")));
    command
}

/// Adds the target as a user does and asks for the state of the servers.
pub(crate) async fn health(client: &Client, target: &Target) -> Result<String> {
    let mut add = claude(client);
    add.args(["mcp", "add", "--transport", "http", "hub", &target.url, "-s", "user"]);
    add.args(["--header", &format!("Authorization: Bearer {}", target.key)]);
    client.run(add).await?.success()?;
    let mut list = claude(client);
    list.args(["mcp", "list"]);
    client.run(list).await?.success()
}

/// A headless run in which the model asks for `plan` one call after the other.
pub(crate) async fn headless(
    client: &Client,
    target: &Target,
    plan: Vec<PlannedCall>,
) -> Result<(Value, ScriptedMessages)> {
    headless_with(client, target, plan, &[]).await
}

/// The same with settings in the environment.
async fn headless_with(
    client: &Client,
    target: &Target,
    plan: Vec<PlannedCall>,
    settings: &[(&str, &str)],
) -> Result<(Value, ScriptedMessages)> {
    let allowed = plan.iter().map(|call| call.tool.clone()).collect::<Vec<_>>().join(",");
    let model = ScriptedMessages::start(plan).await?;
    let servers = json!({ "mcpServers": { "hub": {
        "type": "http",
        "url": target.url,
        "headers": { "Authorization": format!("Bearer {}", target.key) },
    } } });
    let file = client.home().join("mcp.json");
    std::fs::write(&file, servers.to_string())?;
    let mut command = claude(client);
    command.env("ANTHROPIC_BASE_URL", &model.url).env("ANTHROPIC_API_KEY", "dummy");
    command.env("ENABLE_TOOL_SEARCH", "false").envs(settings.iter().copied());
    command.args(["-p", "Follow the plan.", "--strict-mcp-config", "--output-format", "json"]);
    command.args(["--model", "claude-sonnet-4-5", "--allowedTools", &allowed, "--mcp-config"]).arg(file);
    let printed = client.run(command).await?.success()?;
    let printed = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    Ok((printed, model))
}

/// The text of a `tool_result` block, without the line end that the client adds.
pub(crate) fn result_text(block: &Value) -> &str {
    let text = block["content"].as_str().or_else(|| block["content"][0]["text"].as_str());
    text.unwrap_or_default().trim_end()
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_says_connected() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_says_connected")? else { return Ok(()) };
    let target = Target::transparent(&client).await?;
    let printed = health(&client, &target).await?;
    assert!(printed.contains("Connected"), "{printed}\n{}", target.log());
    Ok(())
}

/// `trunkline connect` writes what Claude Code reads.
#[tokio::test(flavor = "multi_thread")]
async fn claude_code_is_connected_by_the_command_line() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_is_connected_by_the_command_line")? else {
        return Ok(());
    };
    let target = Target::transparent(&client).await?;
    let base = target.url.strip_suffix("/mcp/team").context("the URL of a profile")?;
    let mut connect = hub::program(client.home())?;
    connect.args([
        "connect",
        "claude-code",
        "--profile",
        "team",
        "--url",
        base,
        "--key",
        &target.key,
        "--write",
    ]);
    client.run(connect).await?.success()?;
    let mut list = claude(&client);
    list.args(["mcp", "list"]);
    let printed = client.run(list).await?.success()?;
    assert!(printed.contains("trunkline") && printed.contains("Connected"), "{printed}\n{}", target.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_says_that_a_wrong_key_does_not_connect() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_says_that_a_wrong_key_does_not_connect")? else {
        return Ok(());
    };
    let mut target = Target::transparent(&client).await?;
    "tlk_wrong".clone_into(&mut target.key);
    let printed = health(&client, &target).await?;
    assert!(!printed.contains("Connected"), "{printed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_calls_tools_of_three_servers() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_calls_tools_of_three_servers")? else { return Ok(()) };
    let target = Target::three_servers(&client).await?;
    let plan = vec![
        PlannedCall { tool: "mcp__hub__everything__echo".into(), arguments: json!({ "message": "through" }) },
        PlannedCall { tool: "mcp__hub__memory__read_graph".into(), arguments: json!({}) },
        PlannedCall {
            tool: "mcp__hub__time__convert_time".into(),
            arguments: json!({ "source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo" }),
        },
    ];
    let (printed, model) = headless(&client, &target, plan).await?;
    assert_eq!(printed["result"], DONE, "{printed}\n{}", target.log());
    let results = model.tool_results();
    assert_eq!(results.len(), 3, "{results:?}");
    assert_eq!(result_text(&results[0]), "Echo: through");
    assert!(result_text(&results[1]).contains("entities"), "{}", results[1]);
    assert!(result_text(&results[2]).contains("T21:00:00+09:00"), "{}", results[2]);
    Ok(())
}

/// Every 30 s it looks whether a call has been silent for longer than it may
/// be, and gives it up then. The tool reports progress at half of its time.
async fn progress_keeps_a_call_alive(test: &str, era: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let server = ReferenceServer::start(&["--era", era]).await?;
    let target = Target::reference(&server).await?;
    let plan =
        vec![PlannedCall { tool: "mcp__hub__slow".into(), arguments: json!({ "milliseconds": 34_000 }) }];
    let silence = [("CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT", "20000")];
    let (printed, model) = headless_with(&client, &target, plan, &silence).await?;
    assert_eq!(printed["result"], DONE, "{printed}\n{}", target.log());
    assert_eq!(result_text(&model.tool_results()[0]), "This took 34000 ms.", "{}", target.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_hears_the_progress_of_a_legacy_server() -> Result<()> {
    progress_keeps_a_call_alive("claude_code_hears_the_progress_of_a_legacy_server", "legacy").await
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_hears_the_progress_of_a_modern_server() -> Result<()> {
    progress_keeps_a_call_alive("claude_code_hears_the_progress_of_a_modern_server", "modern").await
}
