//! Tasks through the hub, in both eras of the protocol and with real servers
//! behind it: the reference server for the extension of 2026-07-28,
//! server-everything for the tasks of 2025-11-25.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use trunkline_tests::client_program::Client;
use trunkline_tests::connection::call_params;
use trunkline_tests::everything::EverythingServer;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::LEGACY;
use trunkline_tests::packages::{Packages, StdioServer};
use trunkline_tests::reference_server::{PROGRAM, ReferenceServer};

use crate::asking_back::heard;

const PATIENCE: Duration = Duration::from_secs(20);
const EXTENSION: &str = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const RESEARCH: &str = "simulate-research-query";
const RELATED: &str = "io.modelcontextprotocol/related-task";

async fn hub_before(server: &str) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  one: {{ {server} }}\nprofiles:\n  team: {{ auth: api_key, servers: {{ one: {{}} }} }}\n"
    ))
    .await
}

/// A child that stops when nobody has used it for a moment.
async fn hub_before_reference(era: &str) -> Result<TestHub> {
    let program = hub::built(PROGRAM)?;
    hub_before(&format!("command: {program:?}, args: [--stdio, --era, {era}], idle_timeout: 1s")).await
}

async fn hub_before_everything(test: &str, more: &str) -> Result<Option<TestHub>> {
    let Some(packages) = Packages::or_skip(test)? else { return Ok(None) };
    let line = packages.stdio_server(StdioServer::Everything, &["stdio"]);
    let (program, arguments) = line.split_first().context("an empty command")?;
    hub_before(&format!("command: {program:?}, args: {arguments:?}{more}")).await.map(Some)
}

fn of_task(id: &str) -> String {
    json!({ "taskId": id }).to_string()
}

fn id_in(result: &Value, place: &str) -> Result<String> {
    Ok(result
        .pointer(place)
        .and_then(Value::as_str)
        .with_context(|| format!("no task: {result}"))?
        .to_owned())
}

/// What `tasks/get` says once the task is no longer working.
async fn settled(client: &ModernClient, id: &str) -> Result<Value> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let task = client.request("tasks/get", &of_task(id)).await?.result_value()?;
        ensure!(task["taskId"] == id, "{task}");
        if task["status"] != "working" {
            return Ok(task);
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("the task works for ever")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_clients_task_outlives_its_connection_and_asks() -> Result<()> {
    let hub = hub_before_reference("modern").await?;
    let key = hub.create_key("team").await?;
    let connect = || ModernClient::with_capabilities(hub.endpoint("team").with_key(&key), EXTENSION);
    let discovered = connect().request("server/discover", "{}").await?.result_value()?;
    ensure!(discovered["capabilities"]["tasks"].is_null(), "{discovered}");
    let call = call_params("one__slow_compute", r#"{"seconds":3,"label":"long"}"#);
    let begun = connect().request("tools/call", &call).await?.result_value()?;
    ensure!(begun["resultType"] == "task" && begun["status"] == "working", "{begun}");
    let id = id_in(&begun, "/taskId")?;
    // Longer than the child may idle: it is kept for its task, and the same
    // task is found by another connection of the same caller.
    sleep(Duration::from_millis(2500)).await;
    let done = settled(&connect(), &id).await?;
    ensure!(done["status"] == "completed" && done["result"].to_string().contains("Computed"), "{done}");

    let client = connect();
    let call = call_params("one__confirm_delete", r#"{"filename":"x.txt"}"#);
    let id = id_in(&client.request("tools/call", &call).await?.result_value()?, "/taskId")?;
    let asks = settled(&client, &id).await?;
    let requests = asks["inputRequests"].as_object().context("nothing is asked")?;
    let (question, _) = requests.iter().next().context("nothing is asked")?;
    let answer = json!({ "action": "accept", "content": { "confirm": true } });
    let update = json!({ "taskId": id, "inputResponses": { question: answer } }).to_string();
    client.request("tasks/update", &update).await?.result()?;
    let end = Instant::now() + PATIENCE;
    loop {
        let done = settled(&client, &id).await?;
        if done["status"] == "completed" {
            ensure!(done["result"].to_string().contains("x.txt was deleted"), "{done}");
            break;
        }
        ensure!(Instant::now() < end, "{done}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_another_caller_looks_like_none() -> Result<()> {
    let hub = hub_before_reference("modern").await?;
    let (key, other) = (hub.create_key("team").await?, hub.create_key("team").await?);
    let client = |key: &str| ModernClient::with_capabilities(hub.endpoint("team").with_key(key), EXTENSION);
    let call = call_params("one__slow_compute", r#"{"seconds":60}"#);
    let id = id_in(&client(&key).request("tools/call", &call).await?.result_value()?, "/taskId")?;
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let stranger = client(&other);
        let theirs = stranger.request(method, &of_task(&id)).await?.error()?;
        let nobodys = stranger.request(method, &of_task("no-such-task")).await?.error()?;
        ensure!(theirs == nobodys && theirs.code == -32602, "{method}: {theirs:?}, {nobodys:?}");
        let plain = ModernClient::new(hub.endpoint("team").with_key(&key));
        ensure!(plain.request(method, &of_task(&id)).await?.error()?.code == -32021, "{method}");
    }
    let mine = client(&key).request("tasks/get", &of_task(&id)).await?.result_value()?;
    ensure!(mine["status"] == "working", "a stranger changed it: {mine}");
    client(&key).request("tasks/cancel", &of_task(&id)).await?.result()?;
    ensure!(settled(&client(&key), &id).await?["status"] == "cancelled");
    // The trail names the tool where the door was passed, and nothing where not.
    let trail = hub.cli(&["audit", "export", "--json"]).await?;
    let events: Vec<Value> = trail.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let cancels = events.iter().filter(|event| event.to_string().contains("tasks/cancel"));
    let of_tool = |event: &&Value| event.to_string().contains("slow_compute");
    let (passed, refused): (Vec<_>, Vec<_>) = cancels.partition(of_tool);
    ensure!((passed.len(), refused.len()) == (1, 3), "{passed:?}, {refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_found_after_the_hub_was_killed() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "modern"]).await?;
    let hub = hub_before(&format!("url: {:?}", server.url)).await?;
    let key = hub.create_key("team").await?;
    let client =
        |hub: &TestHub| ModernClient::with_capabilities(hub.endpoint("team").with_key(&key), EXTENSION);
    let call = call_params("one__slow_compute", r#"{"seconds":2}"#);
    let id = id_in(&client(&hub).request("tools/call", &call).await?.result_value()?, "/taskId")?;
    let hub = hub.kill_and_restart().await?;
    ensure!(settled(&client(&hub), &id).await?["status"] == "completed");
    Ok(())
}

/// A legacy client that takes part in tasks, and begins one.
async fn begin_research(client: &LegacyClient, ambiguous: bool) -> Result<String> {
    let call = json!({
        "name": format!("one__{RESEARCH}"),
        "arguments": { "topic": "python", "ambiguous": ambiguous },
        "task": { "ttl": 60_000 },
    });
    let begun = client.request("tools/call", &call.to_string()).await?.result_value()?;
    ensure!(begun["task"]["status"] == "working" && begun["task"]["pollInterval"] == 1000, "{begun}");
    id_in(&begun, "/task/taskId")
}

async fn until_listed(client: &LegacyClient) -> Result<()> {
    client.request("tools/list", "{}").await?.result().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_clients_task_outlives_its_session() -> Result<()> {
    let test = "a_legacy_clients_task_outlives_its_session";
    let more = ", instances: per_session, idle_timeout: 1s";
    let Some(hub) = hub_before_everything(test, more).await? else { return Ok(()) };
    let (key, other) = (hub.create_key("team").await?, hub.create_key("team").await?);
    let connect = |key: &str| LegacyClient::connect(hub.endpoint("team").with_key(key));
    let first = connect(&key).await?;
    until_listed(&first).await?;
    let greeted = connect(&key).await?.initialized().result_value()?;
    let requests = &greeted["capabilities"]["tasks"]["requests"]["tools"]["call"];
    ensure!(requests.is_object(), "{greeted}");
    let id = begin_research(&first, false).await?;
    first.delete().await?.expect_status(200)?;

    let second = connect(&key).await?;
    let listed = second.request("tasks/list", "{}").await?.result_value()?;
    ensure!(listed["tasks"].as_array().is_some_and(|all| all.len() == 1), "{listed}");
    ensure!(listed["tasks"][0]["taskId"] == id.as_str(), "{listed}");
    let stranger = connect(&other).await?;
    ensure!(stranger.request("tasks/list", "{}").await?.result_value()? == json!({ "tasks": [] }));
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let theirs = stranger.request(method, &of_task(&id)).await?.error()?;
        let nobodys = stranger.request(method, &of_task("no-such-task")).await?.error()?;
        ensure!(theirs == nobodys && theirs.code == -32602, "{method}: {theirs:?}, {nobodys:?}");
    }
    let task = second.request("tasks/get", &of_task(&id)).await?.result_value()?;
    ensure!(task["taskId"] == id.as_str() && task["status"] == "working", "{task}");
    let result = second.request("tasks/result", &of_task(&id)).await?.result_value()?;
    ensure!(result["content"][0]["text"].as_str().is_some_and(|text| text.contains("python")), "{result}");
    ensure!(result["_meta"][RELATED]["taskId"] == id.as_str(), "{result}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_asks_whoever_waits_for_it() -> Result<()> {
    let test = "a_task_asks_whoever_waits_for_it";
    let Some(hub) = hub_before_everything(test, "").await? else { return Ok(()) };
    asks_whoever_waits(&hub).await.context("over standard input and output")?;
    let Some(packages) = Packages::or_skip(test)? else { return Ok(()) };
    let home = tempfile::tempdir()?;
    let server = EverythingServer::streamable_http(&packages, home.path()).await?;
    let hub = hub_before(&format!("url: {:?}", server.url)).await?;
    asks_whoever_waits(&hub).await.context("over HTTP")
}

async fn asks_whoever_waits(hub: &TestHub) -> Result<()> {
    let endpoint = hub.endpoint("team").with_key(&hub.create_key("team").await?);
    let client = LegacyClient::connect_as(endpoint, LEGACY, r#"{"elicitation":{"form":{}}}"#).await?;
    until_listed(&client).await?;
    let id = begin_research(&client, true).await?;
    let mut stream = client.open("\"wait\"", "tasks/result", &of_task(&id)).await?;
    // To wait is not to make others wait.
    let echo = call_params("one__echo", r#"{"message":"meanwhile"}"#);
    timeout(Duration::from_secs(2), client.request("tools/call", &echo))
        .await
        .context("it waits")??
        .result()?;
    let question = loop {
        let message = heard(&mut stream).await?;
        if message["method"] == "elicitation/create" {
            break message;
        }
    };
    ensure!(question["params"]["_meta"][RELATED]["taskId"] == id.as_str(), "{question}");
    let content = json!({ "interpretation": "snake" });
    let result = json!({ "action": "accept", "content": content, "_meta": { RELATED: { "taskId": id } } });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
    client.post(answer.to_string()).await?.expect_status(202)?;
    let done = loop {
        let message = heard(&mut stream).await?;
        if message["id"] == "wait" {
            break message;
        }
    };
    ensure!(done["result"].to_string().contains("python (snake)"), "{done}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_runs_only_as_a_task_is_called_like_any_other() -> Result<()> {
    let test = "a_tool_that_runs_only_as_a_task_is_called_like_any_other";
    let Some(hub) = hub_before_everything(test, "").await? else { return Ok(()) };
    let key = hub.create_key("team").await?;
    let endpoint = || hub.endpoint("team").with_key(&key);
    let name = format!("one__{RESEARCH}");
    let call = call_params(&name, r#"{"topic":"rust"}"#);
    let legacy = LegacyClient::connect(endpoint()).await?;
    until_listed(&legacy).await?;
    let modern = ModernClient::with_capabilities(endpoint(), EXTENSION);
    let (one, two) = tokio::join!(legacy.request("tools/call", &call), modern.request("tools/call", &call));
    for answer in [one?, two?] {
        let result = answer.result_value()?;
        ensure!(result["content"][0]["text"].as_str().is_some_and(|text| text.contains("rust")), "{result}");
        ensure!(!result.to_string().contains("related-task"), "{result}");
    }
    // And what it asks, its client is asked.
    let call = json!({ "name": name, "arguments": { "topic": "python", "ambiguous": true } });
    let asked = modern.request("tools/call", &call.to_string()).await?.result_value()?;
    ensure!(asked["resultType"] == "input_required", "{asked}");
    ensure!(!asked.to_string().contains("related-task"), "{asked}");
    let requests = asked["inputRequests"].as_object().context("nothing is asked")?;
    let (question, _) = requests.iter().next().context("nothing is asked")?;
    let mut retry = call.clone();
    let answer = json!({ "action": "accept", "content": { "interpretation": "comedy" } });
    retry["inputResponses"] = json!({ question: answer });
    retry["requestState"] = asked["requestState"].clone();
    let done = modern.request("tools/call", &retry.to_string()).await?.result_value()?;
    ensure!(done.to_string().contains("python (comedy)"), "{done}");
    Ok(())
}

/// Runs a tool as a task with a TypeScript client; see the script for which.
async fn by_typescript(
    hub: &TestHub,
    client: &Client,
    which: &str,
    tool: &str,
    arguments: &str,
) -> Result<Value> {
    let key = hub.create_key("team").await?;
    // Only a server that has greeted has told of its tasks.
    until_listed(&LegacyClient::connect(hub.endpoint("team").with_key(&key)).await?).await?;
    let arguments = [&*hub.url("team"), &key, which, tool, arguments];
    client
        .node_script("typescript_tasks.mjs", &arguments)
        .await
        .with_context(|| format!("{which}: {}", hub.output()))
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_clients_run_tasks_of_both_eras() -> Result<()> {
    let test = "typescript_clients_run_tasks_of_both_eras";
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let Some(legacy) = hub_before_everything(test, "").await? else { return Ok(()) };
    let (research, topic) = (format!("one__{RESEARCH}"), r#"{"topic":"python","ambiguous":false}"#);
    let sdk = by_typescript(&legacy, &client, "sdk", &research, topic).await?;
    ensure!(sdk["messages"][0] == "taskCreated" && sdk["status"] == "completed", "{sdk}");
    ensure!(sdk["listed"] == json!([sdk["task"]]) && sdk["result"].to_string().contains("python"), "{sdk}");
    let extension = by_typescript(&legacy, &client, "legacy", &research, topic).await?;
    ensure!(extension["result"].to_string().contains("python"), "{extension}");

    let modern = hub_before_reference("modern").await?;
    let arguments = r#"{"seconds":1,"label":"long"}"#;
    let seen = by_typescript(&modern, &client, "modern", "one__slow_compute", arguments).await?;
    ensure!(seen["version"] == "2026-07-28" && seen["result"].to_string().contains("Computed"), "{seen}");
    Ok(())
}
