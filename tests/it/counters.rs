//! Servers that keep something for each session: what one downstream session
//! left there, no other one finds.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{Answer, Envelope};
use trunkline_tests::reference_server::{PROGRAM, ReferenceServer};
use trunkline_tests::scripted::{Eras, Holds, Script, ScriptedServer};

use crate::children::eventually;

/// Sessions of each of two keys.
const SESSIONS_EACH: usize = 100;
/// Each is a process.
const CHILDREN_EACH: usize = 20;
/// Calls of the counter in each session.
const CALLS: u64 = 5;

/// A hub with one server, which is written so, and two keys of its profile.
struct Stage {
    hub: TestHub,
    red: Endpoint,
    blue: Endpoint,
}

impl Stage {
    async fn with(server: &str) -> Result<Self> {
        let hub = TestHub::start(&format!(
            "servers:\n  counter: {{ {server} }}\nprofiles:\n  \
             team: {{ auth: api_key, servers: {{ counter: {{ prefix: \"\" }} }} }}\n"
        ))
        .await?;
        let red = hub.endpoint("team").with_key(&hub.create_key("team").await?);
        let blue = hub.endpoint("team").with_key(&hub.create_key("team").await?);
        Ok(Self { hub, red, blue })
    }

    async fn over_http(server: &ReferenceServer) -> Result<Self> {
        Self::with(&format!("url: {:?}", server.url)).await
    }

    async fn over_stdio(instances: &str) -> Result<Self> {
        let program = hub::built(PROGRAM)?.display().to_string();
        Self::with(&format!("command: {program:?}, args: [--stdio, --era, legacy], instances: {instances}"))
            .await
    }
}

async fn stateful_server() -> Result<ReferenceServer> {
    ReferenceServer::start(&["--era", "legacy"]).await
}

fn count(answer: &Answer) -> Result<u64> {
    let result = answer.result_value()?;
    result["structuredContent"]["count"].as_u64().with_context(|| format!("no count in {result}"))
}

/// Counts to [`CALLS`], with progress in between. Every session uses the same
/// ids and the same tokens.
async fn counts_alone(client: LegacyClient) -> Result<()> {
    for number in 1..=CALLS {
        let answer =
            client.request_as(&number.to_string(), "tools/call", &call_params("counter", "{}")).await?;
        ensure!(count(&answer)? == number, "{} instead of {number}", count(&answer)?);
        let params = json!({
            "name": "test_tool_with_progress", "arguments": {}, "_meta": { "progressToken": 7 },
        });
        let answer = client.request_as(&format!("\"{number}\""), "tools/call", &params.to_string()).await?;
        answer.result()?;
        let reports = progress_of(&answer.before)?;
        ensure!(reports == [0.0, 50.0, 100.0], "{reports:?}");
    }
    Ok(())
}

/// How far each report on token 7 says that the work is.
fn progress_of(before: &[Envelope]) -> Result<Vec<f64>> {
    let mut reports = Vec::new();
    for message in before {
        let params = message.params.as_ref().context("a notification without parameters")?;
        let params: serde_json::Value = serde_json::from_str(params.get())?;
        ensure!(params["progressToken"] == 7, "another's token: {params}");
        reports.push(params["progress"].as_f64().context("no progress")?);
    }
    Ok(reports)
}

async fn all_count_alone(stage: &Stage, each: usize) -> Result<()> {
    let endpoints = [&stage.red, &stage.blue].into_iter().cycle().take(2 * each);
    let counting = endpoints.cloned().map(|endpoint| {
        tokio::spawn(async move { counts_alone(LegacyClient::connect(endpoint).await?).await })
    });
    for counted in try_join_all(counting.collect::<Vec<_>>()).await? {
        counted.with_context(|| stage.hub.output())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sessions_of_two_users_share_no_count() -> Result<()> {
    let server = stateful_server().await?;
    all_count_alone(&Stage::over_http(&server).await?, SESSIONS_EACH).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_a_child_each_share_no_count() -> Result<()> {
    all_count_alone(&Stage::over_stdio("per_session").await?, CHILDREN_EACH).await
}

/// Sessions whose first calls come while nothing is known of the server yet.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_meet_the_server_first_share_nothing() -> Result<()> {
    let script = Script::new("scripted", 1).eras(Eras::Legacy).holds(Holds::Everything);
    let server = ScriptedServer::start(script).await?;
    let stage = Stage::with(&format!("url: {:?}, era: legacy", server.url)).await?;
    let clients = try_join_all((0..20).map(|_| LegacyClient::connect(stage.red.clone()))).await?;
    let calling = clients.into_iter().enumerate().map(|(number, client)| {
        tokio::spawn(async move {
            let params = call_params("tool_000", &format!(r#"{{"text":"<{number}>"}}"#));
            for _ in 0..2 {
                client.request("tools/call", &params).await?.result()?;
            }
            anyhow::Ok(())
        })
    });
    let calling: Vec<_> = calling.collect();
    server.until_held(2).await.with_context(|| stage.hub.output())?;
    server.release();
    for called in try_join_all(calling).await? {
        called.with_context(|| stage.hub.output())?;
    }
    let mut of_session = BTreeMap::<String, BTreeSet<String>>::new();
    for call in server.received().iter().filter(|one| one.method.as_deref() == Some("tools/call")) {
        let session = call.headers["mcp-session-id"].to_str()?.to_owned();
        let text = call.body.split(['<', '>']).nth(1).context("no text")?.to_owned();
        of_session.entry(session).or_default().insert(text);
    }
    assert_eq!(of_session.len(), 20, "{of_session:?}");
    assert!(of_session.values().all(|texts| texts.len() == 1), "{of_session:?}");
    Ok(())
}

/// The same id is under way in two sessions; one cancels it, and once more
/// when it is only the other's.
async fn a_cancellation_stays_in_its_session(stage: &Stage) -> Result<()> {
    let (one, other) =
        (LegacyClient::connect(stage.red.clone()).await?, LegacyClient::connect(stage.red.clone()).await?);
    let slow = json!({
        "name": "slow", "arguments": { "milliseconds": 3_000 }, "_meta": { "progressToken": 7 },
    })
    .to_string();
    let (mut ours, mut theirs) =
        tokio::try_join!(one.open("5", "tools/call", &slow), other.open("5", "tools/call", &slow),)?;
    for stream in [&mut ours, &mut theirs] {
        let event = stream.event().await?.context("no progress")?;
        ensure!(event.data.contains("notifications/progress"), "{event:?}");
    }
    for _ in 0..2 {
        one.notify("notifications/cancelled", r#"{"requestId":5}"#).await?;
    }
    let event = ours.event().await?;
    assert_eq!(event, None, "what was cancelled is not answered");
    let event = theirs.event().await?.context("the other's call ended with ours")?;
    assert!(Envelope::parse(&event.data)?.answers("5"), "{event:?}");
    assert!(event.data.contains("3000 ms"), "{event:?}");
    let calls = other.request("tools/call", &call_params("count_calls", "{}")).await?.result_value()?;
    assert_eq!(calls["structuredContent"]["cancelled"], 1, "the server was told of ours alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_stays_in_its_session_over_http() -> Result<()> {
    let server = stateful_server().await?;
    a_cancellation_stays_in_its_session(&Stage::over_http(&server).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_stays_in_its_session_over_a_shared_child() -> Result<()> {
    a_cancellation_stays_in_its_session(&Stage::over_stdio("shared").await?).await
}

/// Clients without sessions share what is their key's, and nothing with
/// sessions or with another key.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_a_count_is_the_keys() -> Result<()> {
    let server = stateful_server().await?;
    let stage = Stage::over_http(&server).await?;
    let session = LegacyClient::connect(stage.red.clone()).await?;
    let call = call_params("counter", "{}");
    assert_eq!(count(&session.request("tools/call", &call).await?)?, 1);
    for number in 1..=2 {
        let red = ModernClient::new(stage.red.clone()).request("tools/call", &call).await?;
        assert_eq!(count(&red)?, number);
    }
    assert_eq!(count(&ModernClient::new(stage.blue.clone()).request("tools/call", &call).await?)?, 1);
    assert_eq!(count(&session.request("tools/call", &call).await?)?, 2);
    Ok(())
}

/// An upstream session ends with the downstream session that it was made for.
#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_ends_upstream_as_well() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(Eras::Legacy)).await?;
    let stage = Stage::with(&format!("url: {:?}", server.url)).await?;
    let call = call_params("tool_000", r#"{"text":"x"}"#);
    let staying = LegacyClient::connect(stage.red.clone()).await?;
    staying.request("tools/call", &call).await?.result()?;
    let before = server.sessions();
    let leaving = LegacyClient::connect(stage.red.clone()).await?;
    leaving.request("tools/call", &call).await?.result()?;
    assert_eq!(server.sessions(), before + 1);
    leaving.delete().await?.expect_status(200)?;
    eventually("the upstream session is ended", || Ok(server.sessions() == before)).await?;
    staying.request("tools/call", &call).await?.result()?;
    assert_eq!(server.sessions(), before, "the other session goes on in its own");
    Ok(())
}

/// A session that the server has forgotten is made again for the one
/// downstream session that it was for.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_sessions_are_made_again_one_by_one() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(Eras::Legacy)).await?;
    let stage = Stage::with(&format!("url: {:?}", server.url)).await?;
    let clients = try_join_all((0..4).map(|_| LegacyClient::connect(stage.red.clone()))).await?;
    for _ in 0..2 {
        server.forget_sessions();
        let calls = clients.iter().enumerate().map(|(number, client)| async move {
            let params = call_params("tool_000", &format!(r#"{{"text":"{number}"}}"#));
            let answer = client.request("tools/call", &params).await?;
            ensure!(answer.first_text()? == format!("scripted/tool_000: {number}"));
            anyhow::Ok(())
        });
        try_join_all(calls).await?;
        assert!(server.sessions() >= clients.len(), "{} sessions", server.sessions());
    }
    Ok(())
}

/// More sessions than one server may have children.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_as_many_sessions_as_it_has_clients() -> Result<()> {
    const SESSIONS: usize = 1_100;
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(Eras::Legacy)).await?;
    let stage = Stage::with(&format!("url: {:?}", server.url)).await?;
    let call = call_params("tool_000", r#"{"text":"x"}"#);
    let mut clients = Vec::new();
    for _ in 0..SESSIONS / 50 {
        let some = (0..50).map(|_| async {
            let client = LegacyClient::connect(stage.red.clone()).await?;
            client.request("tools/call", &call).await?.result()?;
            anyhow::Ok(client)
        });
        clients.extend(try_join_all(some).await.with_context(|| stage.hub.output())?);
    }
    assert!(server.sessions() >= SESSIONS, "{} sessions", server.sessions());
    let known = server.sessions();
    clients.first().context("no client")?.request("tools/call", &call).await?.result()?;
    assert_eq!(server.sessions(), known, "the first one's session is still there");
    Ok(())
}
