//! The trail: whatever was answered is in it, whatever happens to the hub.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::sync::Notify;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message;
use trunkline_tests::process::signal;
use trunkline_tests::scripted::{Script, ScriptedServer};

/// Callers that call without a pause until the hub is gone.
const CALLERS: usize = 8;
/// Answers after which the hub is killed.
const ANSWERS: usize = 200;

async fn start(server: &ScriptedServer) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: api_key, servers: {{ scripted: {{ prefix: \"\", tools: {{ exclude: [tool_001] }} }} }} }}\n",
        server.url
    ))
    .await
}

/// The events of the trail, oldest first.
async fn trail(hub: &TestHub) -> Result<Vec<Value>> {
    let printed = hub.cli(&["audit", "export", "--json"]).await?;
    let lines = printed.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// A field of the event, whether the line is the event or wraps it.
fn field<'a>(line: &'a Value, name: &str) -> &'a Value {
    line.get(name).unwrap_or_else(|| &line["event"][name])
}

fn request_ids(trail: &[Value]) -> BTreeSet<String> {
    trail.iter().filter_map(|line| field(line, "request_id").as_str()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_hub_has_lost_no_answered_call() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 2)).await?;
    let hub = start(&server).await?;
    let key = hub.create_key("team").await?;
    let answers = Arc::new(AtomicUsize::new(0));
    let enough = Arc::new(Notify::new());
    let callers = (0..CALLERS).map(|_| {
        let endpoint = hub.endpoint("team").with_key(&key);
        let (answers, enough) = (Arc::clone(&answers), Arc::clone(&enough));
        tokio::spawn(async move {
            let client = LegacyClient::connect(endpoint).await?;
            let mut answered = Vec::new();
            loop {
                let call = message::request("1", "tools/call", &call_params("tool_000", r#"{"text":"x"}"#));
                let Ok(response) = client.post(call).await else { return anyhow::Ok(answered) };
                anyhow::ensure!(response.status == 200, "{}", response.status);
                answered.push(response.header("x-request-id").context("no x-request-id")?.to_owned());
                if answers.fetch_add(1, Ordering::SeqCst) + 1 >= ANSWERS {
                    enough.notify_one();
                }
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    enough.notified().await;
    signal(hub.id()?, "KILL").await?;
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await??);
    }
    let hub = hub.kill_and_restart().await?;
    let recorded = request_ids(&trail(&hub).await?);
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "{} of {} answered calls are not in the trail", lost.len(), answered.len());
    hub.cli(&["audit", "verify"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_refusals_are_in_the_trail() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 2)).await?;
    let hub = start(&server).await?;
    let key = hub.create_key("team").await?;
    let client = LegacyClient::connect(hub.endpoint("team").with_key(&key)).await?;
    let secret = "an-argument-nobody-keeps";
    let post = async |endpoint_call: String| client.post(endpoint_call).await;
    let good = call_params("tool_000", &format!(r#"{{"text":"{secret}"}}"#));
    let called = post(message::request("1", "tools/call", &good)).await?;
    let before = server.requests();
    let hidden = post(message::request("2", "tools/call", &call_params("tool_001", "{}"))).await?;
    server.assert_untouched_since(before)?;
    let hello = message::request("1", "initialize", &message::initialize_params(message::LEGACY, "{}"));
    let stranger = hub.endpoint("team").with_key("tlk_wrong").post(hello, &[]).await?.expect_status(401)?;
    let trail = trail(&hub).await?;
    let event_of = |response: &trunkline_tests::http::Response| -> Result<&Value> {
        let id = response.header("x-request-id").context("no x-request-id")?;
        let found = trail.iter().find(|line| field(line, "request_id") == id);
        found.with_context(|| format!("{id} is not in {trail:#?}"))
    };
    let event = event_of(&called)?;
    assert_eq!(field(event, "method"), "tools/call");
    assert_eq!(field(event, "server"), "scripted");
    assert_eq!(field(event, "target"), "tool_000");
    assert_eq!(field(event, "profile"), "team");
    assert_eq!(field(event, "outcome")["is"], "ok");
    assert!(field(event, "sizes")["response_bytes"].as_u64() > Some(0));
    let event = event_of(&hidden)?;
    assert_eq!(field(event, "outcome")["is"], "refused", "{event}");
    assert_eq!(field(event_of(&stranger)?, "outcome")["is"], "refused");
    let text = serde_json::to_string(&trail)?;
    assert!(!text.contains(secret) && !text.contains(&key), "neither arguments nor keys are stored");
    hub.cli(&["audit", "verify"]).await?;
    Ok(())
}
