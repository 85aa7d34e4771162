//! Callers who use each other's ids and tokens.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message;
use trunkline_tests::raw_server::{RawServer, Step, chunk, chunked_head, http};
use trunkline_tests::scripted::{Eras, Holds, Script, ScriptedServer};
use trunkline_tests::sse_client::SseClient;

async fn hub_over(url: &str, more: &str) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  one: {{ url: {url:?}{more} }}\nprofiles:\n  \
         red: {{ auth: api_key, servers: {{ one: {{}} }} }}\n  \
         blue: {{ auth: api_key, servers: {{ one: {{}} }} }}\n"
    ))
    .await
}

async fn session(hub: &TestHub, profile: &str) -> Result<LegacyClient> {
    let key = hub.create_key(profile).await?;
    LegacyClient::connect(hub.endpoint(profile).with_key(&key)).await
}

/// Who cancels the id that somebody else also uses cancels nothing but their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_its_senders_alone() -> Result<()> {
    let server = ScriptedServer::start(Script::new("one", 1).holds(Holds::Calls)).await?;
    let hub = hub_over(&server.url, "").await?;
    let (red, blue) = (session(&hub, "red").await?, session(&hub, "blue").await?);
    let colleague = session(&hub, "red").await?;
    let start = |client: &LegacyClient| {
        let client = client.clone();
        let params = call_params("one__tool_000", r#"{"text":"x"}"#);
        tokio::spawn(async move { client.post(message::request("7", "tools/call", &params)).await })
    };
    let (reds, blues, colleagues) = (start(&red), start(&blue), start(&colleague));
    server.until_held(3).await?;
    red.notify("notifications/cancelled", r#"{"requestId":7,"reason":"enough"}"#).await?;
    // Ids of nobody, of another type, and of no type at all.
    for id in ["8", "\"7\"", "null", "[7]", "7.0", "-7"] {
        blue.notify("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#)).await?;
    }
    blue.notify("notifications/cancelled", "{}").await?;
    let cancelled = reds.await??;
    assert!(!cancelled.text()?.contains("result"), "{}", cancelled.text()?);
    server.until_held(2).await?;
    server.release();
    for answer in [blues.await??, colleagues.await??] {
        assert_eq!(answer.json()?["result"]["content"][0]["text"], "one/tool_000: x");
    }
    Ok(())
}

/// Two callers with the same progress token, and a server that repeats tokens
/// as it was given them: each hears of its own call.
#[tokio::test(flavor = "multi_thread")]
async fn progress_goes_to_who_waits_for_it() -> Result<()> {
    const CALLERS: usize = 6;
    let together = Arc::new(Barrier::new(CALLERS));
    let server = RawServer::start(move |call| {
        (call.method == "tools/call").then(|| {
            let token = &call.params["_meta"]["progressToken"];
            let mut steps =
                vec![Step::Meet(Arc::clone(&together)), Step::Write(chunked_head("text/event-stream"))];
            for progress in 1..=3 {
                let params = json!({ "progressToken": token, "progress": progress, "message": call.text() });
                let event = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
                steps.push(Step::Write(chunk(format!("data: {event}\n\n").as_bytes())));
            }
            let result = json!({ "content": [{ "type": "text", "text": call.text() }] });
            steps.push(Step::Write(chunk(format!("data: {}\n\n", call.answer_with(&result)).as_bytes())));
            steps.push(Step::Write(chunk(b"")));
            steps
        })
    })
    .await?;
    let hub = hub_over(&server.url, ", instances: shared").await?;
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        let profile = ["red", "blue"][number % 2];
        callers.push((format!("caller {number}"), session(&hub, profile).await?));
    }
    let calls = callers.iter().map(|(name, client)| async move {
        let params = json!({
            "name": "one__tool", "arguments": { "text": name }, "_meta": { "progressToken": "same" },
        });
        let answer = client.request_as("1", "tools/call", &params.to_string()).await?;
        assert_eq!(answer.first_text()?, *name);
        assert_eq!(answer.before.len(), 3, "{name}: {:?}", answer.before);
        for (index, envelope) in answer.before.iter().enumerate() {
            let params: Value = serde_json::from_str(envelope.params.as_ref().context("no params")?.get())?;
            assert_eq!(params["progressToken"], "same");
            assert_eq!(
                (params["message"].as_str(), params["progress"].as_u64()),
                (Some(name.as_str()), Some(index as u64 + 1))
            );
        }
        anyhow::Ok(())
    });
    try_join_all(calls).await?;
    let calls = server.received().into_iter().filter(|call| call.method == "tools/call");
    let (ids, tokens): (BTreeSet<_>, BTreeSet<_>) =
        calls.map(|call| (call.id.to_string(), call.params["_meta"]["progressToken"].to_string())).unzip();
    assert_eq!((ids.len(), tokens.len()), (CALLERS, CALLERS), "no id and no token was used twice");
    Ok(())
}

/// The same ids from many callers of both eras, answered in an order that is
/// not that of the questions.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_ids_never_cross() -> Result<()> {
    const ROUNDS: usize = 10;
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let result = json!({ "content": [{ "type": "text", "text": call.text() }] });
            vec![Step::Write(http("200 OK", "application/json", &call.answer_with(&result)))]
        })
    })
    .await?;
    let hub = hub_over(&server.url, ", instances: shared").await?;
    let (red, blue) = (session(&hub, "red").await?, session(&hub, "blue").await?);
    let key = hub.create_key("red").await?;
    let modern = ModernClient::new(hub.endpoint("red").with_key(&key));
    let ask = async |name: &str, round: usize, id: &str| {
        let text = format!("{name} {round} {id}");
        let params = call_params("one__tool", &json!({ "text": text }).to_string());
        let answer = match name {
            "red" => red.request_as(id, "tools/call", &params).await?,
            "blue" => blue.request_as(id, "tools/call", &params).await?,
            _ => modern.request_as(id, "tools/call", &params).await?,
        };
        assert_eq!(answer.first_text()?, text);
        anyhow::Ok(())
    };
    // Clients of the old transport count their requests from 0, each for itself.
    let old = async |name: &str| {
        let endpoint = hub.endpoint("red").with_key(&key).at(&hub.url("red/sse"));
        let mut client = SseClient::connect(&endpoint, "2024-11-05").await?;
        for round in 0..5 * ROUNDS {
            let text = format!("{name} {round}");
            let params = call_params("one__tool", &json!({ "text": text }).to_string());
            assert_eq!(client.request("tools/call", &params).await?.first_text()?, text);
        }
        anyhow::Ok(())
    };
    let rounds = async {
        for round in 0..ROUNDS {
            all_at_once(&ask, round).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(rounds, old("one"), old("two"))?;
    Ok(())
}

/// Calls of three clients under the same ids.
async fn all_at_once(ask: &impl AsyncFn(&str, usize, &str) -> Result<()>, round: usize) -> Result<()> {
    let mut calls = Vec::new();
    for name in ["red", "blue", "modern"] {
        for id in ["0", "1", "\"1\"", "\"\"", "-1"] {
            calls.push(ask(name, round, id));
        }
    }
    try_join_all(calls).await.map(drop)
}

/// A caller that uses one id twice at once gets two answers, and cancels both.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_used_twice_at_once_harms_only_its_user() -> Result<()> {
    let server = ScriptedServer::start(Script::new("one", 1).holds(Holds::Calls)).await?;
    let hub = hub_over(&server.url, "").await?;
    let (red, blue) = (session(&hub, "red").await?, session(&hub, "blue").await?);
    let start = |client: &LegacyClient, text: &str| {
        let client = client.clone();
        let params = call_params("one__tool_000", &json!({ "text": text }).to_string());
        tokio::spawn(async move { client.post(message::request("7", "tools/call", &params)).await })
    };
    let (one, two, others) = (start(&red, "a"), start(&red, "b"), start(&blue, "c"));
    server.until_held(3).await?;
    server.release();
    for (call, text) in [(one, "a"), (two, "b"), (others, "c")] {
        assert_eq!(call.await??.json()?["result"]["content"][0]["text"], format!("one/tool_000: {text}"));
    }
    Ok(())
}

/// What a server remembers of one caller it does not show to another: each
/// session has its own at a server that keeps sessions, unless the operator
/// wants one for all, and none that another had before.
#[tokio::test(flavor = "multi_thread")]
async fn callers_share_no_session_at_a_server() -> Result<()> {
    for (instances, expected) in [("per_user", 3), ("per_session", 3), ("shared", 1)] {
        let server = ScriptedServer::start(Script::new("one", 1).eras(Eras::Legacy)).await?;
        let hub = hub_over(&server.url, &format!(", instances: {instances}")).await?;
        let key = hub.create_key("red").await?;
        let red = hub.endpoint("red").with_key(&key);
        let clients = [
            LegacyClient::connect(red.clone()).await?,
            LegacyClient::connect(red).await?,
            session(&hub, "blue").await?,
        ];
        let mut used = Vec::new();
        for client in &clients {
            for _ in 0..2 {
                let params = call_params("one__tool_000", "{}");
                client.request("tools/call", &params).await?.result()?;
                let received = server.received();
                let call = received.iter().rev().find(|one| one.method.as_deref() == Some("tools/call"));
                let id = call.and_then(|call| call.headers.get("mcp-session-id")).context("no session")?;
                used.push(id.to_str()?.to_owned());
            }
        }
        assert!(used.chunks(2).all(|pair| pair[0] == pair[1]), "{instances}: {used:?}");
        let distinct: BTreeSet<_> = used.iter().collect();
        assert_eq!(distinct.len(), expected, "{instances}: {used:?}");
        assert!(clients.iter().all(|client| !used.iter().any(|id| client.session() == Some(id))));
    }
    Ok(())
}
