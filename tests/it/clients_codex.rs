//! Codex.

use anyhow::Result;
use serde_json::{Value, json};
use tokio::process::Command;
use trunkline_tests::client_program::Client;
use trunkline_tests::scripted_messages::DONE;
use trunkline_tests::scripted_responses::{PlannedFunction, ScriptedResponses};

use crate::target::Target;

fn codex(client: &Client, target: &Target) -> Command {
    let mut command = client.command(&client.packages.npm_bin("codex"));
    command.env("CODEX_HOME", client.home().join(".codex"));
    command.env("HUB_KEY", &target.key).env("SCRIPTED_KEY", "dummy");
    command
}

/// A run in which the model asks for `plan` one call after the other. Gives
/// the events that were printed. The server is `required`: otherwise the first
/// turn begins without its tools when it takes long to start.
pub(crate) async fn exec(
    client: &Client,
    target: &Target,
    plan: Vec<PlannedFunction>,
) -> Result<(Vec<Value>, ScriptedResponses)> {
    let model = ScriptedResponses::start(plan).await?;
    let folder = client.home().join(".codex");
    std::fs::create_dir_all(&folder)?;
    let configuration = format!(
        r#"
model = "scripted"
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "{}"
wire_api = "responses"
env_key = "SCRIPTED_KEY"

[mcp_servers.hub]
url = "{}"
bearer_token_env_var = "HUB_KEY"
default_tools_approval_mode = "approve"
required = true
"#,
        model.url, target.url
    );
    std::fs::write(folder.join("config.toml"), configuration)?;
    let mut command = codex(client, target);
    command.args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]);
    command.arg("Follow the plan.");
    let printed = client.run(command).await?.success()?;
    let events = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((events, model))
}

/// A call of a tool of the server `hub`.
pub(crate) fn call(name: &str, arguments: Value) -> PlannedFunction {
    PlannedFunction { namespace: Some("mcp__hub".into()), name: name.into(), arguments }
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_calls_tools_of_three_servers() -> Result<()> {
    let Some(client) = Client::or_skip("codex_calls_tools_of_three_servers")? else { return Ok(()) };
    let target = Target::three_servers(&client).await?;
    let plan = vec![
        call("everything__echo", json!({ "message": "through" })),
        call("memory__read_graph", json!({})),
        call(
            "time__convert_time",
            json!({ "source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo" }),
        ),
    ];
    let (events, model) = exec(&client, &target, plan).await?;
    let outputs = model.outputs();
    assert_eq!(outputs.len(), 3, "{events:?}\n{}", target.log());
    assert!(outputs[0]["output"].to_string().contains("Echo: through"), "{}", outputs[0]);
    assert!(outputs[1]["output"].to_string().contains("entities"), "{}", outputs[1]);
    assert!(outputs[2]["output"].to_string().contains("T21:00:00+09:00"), "{}", outputs[2]);
    assert!(events.iter().any(|event| event["item"]["text"] == DONE), "{events:?}");
    Ok(())
}
