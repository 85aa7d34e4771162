//! Stdio servers as children of the hub: what one does stays its own, and
//! nothing of them is left behind.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use serde_json::json;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::Streaming;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::Envelope;
use trunkline_tests::process::signal;
use trunkline_tests::process_facts as facts;
use trunkline_tests::scripted::{Script, ScriptedServer};

/// The YAML of a stdio server that is the binary's own sample server; its
/// children carry `mark` in their environment.
pub(crate) fn sample_server(mark: &str) -> Result<String> {
    let binary = hub::binary()?.display().to_string();
    Ok(format!("command: {binary:?}, args: [sample-server], env: {{ {MARK}: {mark} }}"))
}

/// The variable that tells the children of one server from those of another.
const MARK: &str = "TRUNKLINE_TESTS_MARK";

/// The children of the hub that were started with `mark`.
pub(crate) fn marked(hub: &TestHub, mark: &str) -> Result<Vec<u32>> {
    facts::children_with(hub.id()?, MARK, mark)
}

/// A hub with sample servers under these names.
async fn hub_with(names: &[&str], more: &str) -> Result<TestHub> {
    let mut servers = String::new();
    let mut selection = Vec::new();
    for name in names {
        writeln!(servers, "  {name}: {{ {}{more} }}", sample_server(name)?)?;
        selection.push(format!("{name}: {{}}"));
    }
    let selection = selection.join(", ");
    TestHub::start(&format!(
        "servers:\n{servers}profiles:\n  team: {{ auth: api_key, servers: {{ {selection} }} }}\n"
    ))
    .await
}

async fn session(hub: &TestHub) -> Result<LegacyClient> {
    let key = hub.create_key("team").await?;
    LegacyClient::connect(hub.endpoint("team").with_key(&key)).await
}

/// Starts a call that counts for a minute, and comes back once it reports
/// progress: it is being worked on then.
async fn counting(client: &LegacyClient, tool: &str) -> Result<Streaming> {
    let params = json!({
        "name": tool,
        "arguments": { "to": 600, "delay_ms": 100 },
        "_meta": { "progressToken": "count" },
    });
    let mut stream = client.open("77", "tools/call", &params.to_string()).await?;
    let event = stream.event().await?.context("no progress")?;
    assert!(event.data.contains("notifications/progress"), "{event:?}");
    Ok(stream)
}

/// The answer at the end of a stream of progress.
async fn ending(mut stream: Streaming) -> Result<Envelope> {
    while let Some(event) = stream.event().await? {
        let envelope = Envelope::parse(&event.data)?;
        if envelope.answers("77") {
            return Ok(envelope);
        }
    }
    bail!("the stream ended without an answer")
}

/// Waits until a fact about another process holds. Such a fact has no event to
/// wait for.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let attempts = 300;
    for _ in 0..attempts {
        if holds()? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("not within {attempts} looks: {what}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_fails_its_own_call_alone() -> Result<()> {
    let hub = hub_with(&["alpha", "beta"], "").await?;
    let client = session(&hub).await?;
    let dying = counting(&client, "alpha__slow_count").await?;
    let victim = *marked(&hub, "alpha")?.first().context("no child")?;
    let living = counting(&client, "beta__slow_count").await?;
    let other = session(&hub).await?;
    let others_own = counting(&other, "alpha__slow_count").await?;
    assert_eq!(marked(&hub, "alpha")?.len(), 2, "each key has its own child of alpha");
    signal(victim, "KILL").await?;
    let failed = tokio::time::timeout(Duration::from_secs(5), ending(dying)).await.context("no error")??;
    assert!(failed.error.is_some(), "{failed:?}");
    let answer = client.request("tools/call", &call_params("beta__echo", r#"{"text":"on"}"#)).await?;
    assert_eq!(answer.first_text()?, "on");
    let answer = client.request("tools/call", &call_params("alpha__echo", r#"{"text":"back"}"#)).await?;
    assert_eq!(answer.first_text()?, "back", "the next call starts the child again");
    for mut stream in [living, others_own] {
        let event = stream.event().await?.context("a call of another child ended")?;
        assert!(event.data.contains("notifications/progress"), "{event:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_child_that_was_asked_ahead_serves_the_first_caller() -> Result<()> {
    let hub = hub_with(&["alpha", "beta"], "").await?;
    eventually("each server is asked ahead", || {
        Ok(marked(&hub, "alpha")?.len() == 1 && marked(&hub, "beta")?.len() == 1)
    })
    .await?;
    let ahead = marked(&hub, "alpha")?;
    let first = session(&hub).await?;
    for tool in ["alpha__echo", "beta__echo"] {
        first.request("tools/call", &call_params(tool, r#"{"text":"x"}"#)).await?.result()?;
    }
    assert_eq!((marked(&hub, "alpha")?, marked(&hub, "beta")?.len()), (ahead, 1));
    let second = session(&hub).await?;
    second.request("tools/call", &call_params("alpha__echo", r#"{"text":"x"}"#)).await?.result()?;
    assert_eq!(marked(&hub, "alpha")?.len(), 2, "two callers never share one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_was_asked_ahead_stops_when_nobody_comes() -> Result<()> {
    let hub = hub_with(&["alpha"], ", idle_timeout: 2s").await?;
    eventually("it is asked ahead", || Ok(marked(&hub, "alpha")?.len() == 1)).await?;
    eventually("it has stopped", || Ok(marked(&hub, "alpha")?.is_empty())).await?;
    let states = hub.cli(&["server", "list", "--json"]).await?;
    assert!(states.contains(r#""is":"idle""#) || states.contains(r#""is": "idle""#), "{states}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_hub_leaves_no_child() -> Result<()> {
    let hub = hub_with(&["alpha", "beta"], "").await?;
    let client = session(&hub).await?;
    for tool in ["alpha__echo", "beta__echo"] {
        client.request("tools/call", &call_params(tool, r#"{"text":"x"}"#)).await?.result()?;
    }
    let children = facts::children(hub.id()?)?;
    assert_eq!(children.len(), 2);
    hub.stop().await?;
    eventually("the children are gone", || Ok(children.iter().all(|child| !facts::exists(*child)))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_a_session_ends_with_it() -> Result<()> {
    let hub = hub_with(&["own"], ", instances: per_session").await?;
    let key = hub.create_key("team").await?;
    let endpoint = hub.endpoint("team").with_key(&key);
    let mut clients = Vec::new();
    for _ in 0..10 {
        let client = LegacyClient::connect(endpoint.clone()).await?;
        client.request("tools/call", &call_params("own__echo", r#"{"text":"x"}"#)).await?.result()?;
        clients.push(client);
    }
    assert_eq!(marked(&hub, "own")?.len(), 10);
    for client in &clients {
        assert!(client.delete().await?.status.is_success());
    }
    eventually("every child has ended", || Ok(marked(&hub, "own")?.is_empty())).await
}

/// Sessions of the load, and calls in each.
const SESSIONS: usize = 1_000;
const CALLS_EACH: usize = 10;
/// Sessions that are open at the same time.
const AT_ONCE: usize = 20;
/// What the hub may have grown by after the load, in KiB. Growth by one session or
/// call of a few hundred bytes would already show.
const GROWTH_KIB: u64 = 12 * 1024;

/// Opens sessions, calls tools of a child and of a URL in each, and ends them.
async fn load(hub: &TestHub, key: &str, sessions: usize) -> Result<()> {
    let mut left = sessions;
    while left > 0 {
        let now = left.min(AT_ONCE);
        left -= now;
        let visits = (0..now).map(|_| {
            let endpoint = hub.endpoint("team").with_key(key);
            tokio::spawn(async move {
                let client = LegacyClient::connect(endpoint).await?;
                for number in 0..CALLS_EACH {
                    let tool = if number % 2 == 0 { "sample__echo" } else { "scripted__tool_000" };
                    let params = call_params(tool, r#"{"text":"x"}"#);
                    client.request("tools/call", &params).await?.result()?;
                }
                let ended = client.delete().await?;
                anyhow::ensure!(ended.status.is_success(), "DELETE: {}", ended.status);
                anyhow::Ok(())
            })
        });
        for visit in try_join_all(visits).await? {
            visit?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_in_a_thousand_sessions_leave_nothing() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  sample: {{ {} }}\n  scripted: {{ url: {:?} }}\n\
         profiles:\n  team: {{ auth: api_key, servers: {{ sample: {{}}, scripted: {{}} }} }}\n",
        sample_server("load")?,
        server.url
    ))
    .await?;
    let process = hub.id()?;
    let key = hub.create_key("team").await?;
    hub.until_listed(&hub.endpoint("team").with_key(&key)).await?;
    load(&hub, &key, SESSIONS / 5).await.with_context(|| hub.output())?;
    let children = facts::children(process)?;
    let resident = facts::resident_kib(process)?;
    load(&hub, &key, SESSIONS).await.with_context(|| hub.output())?;
    assert_eq!(facts::children(process)?, children, "the same children as before");
    let grown = facts::resident_kib(process)?.saturating_sub(resident);
    assert!(grown < GROWTH_KIB, "grown by {grown} KiB from {resident} KiB");
    // A database, a listener, a child's pipes, connections to the upstream: far fewer than sessions.
    eventually("the descriptors of ended connections are closed", || Ok(facts::descriptors(process)? < 100))
        .await?;
    assert!(server.sessions() <= 2, "{} sessions are open at the server", server.sessions());
    Ok(())
}
