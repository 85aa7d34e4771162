//! Callers beside each other: no answer, session or stream of one reaches
//! another.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use http::Method;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message;
use trunkline_tests::scripted::{Eras, Holds, Script, ScriptedServer};

/// Calls of each caller that are under way at the same time.
const CALLS: usize = 12;

/// The same over one child; two callers stay below what one server takes at once.
const SHARED_CALLS: usize = 100;

/// A hub with the scripted server behind the profiles `red` and `blue`.
async fn hub_with(server: &ScriptedServer) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         red: {{ auth: api_key, servers: {{ scripted: {{ prefix: \"\" }} }} }}\n  \
         blue: {{ auth: api_key, servers: {{ scripted: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await
}

/// A session of a new key of the profile.
async fn session(hub: &TestHub, profile: &str) -> Result<LegacyClient> {
    let key = hub.create_key(profile).await?;
    LegacyClient::connect(hub.endpoint(profile).with_key(&key)).await
}

/// Answers that were all kept back at the same time go to who asked, although
/// the callers use the same ids.
async fn answers_do_not_cross(eras: Eras) -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(eras).holds(Holds::Calls)).await?;
    let hub = hub_with(&server).await?;
    let (red, blue) = (session(&hub, "red").await?, session(&hub, "blue").await?);
    let third = session(&hub, "red").await?;
    let modern_key = hub.create_key("red").await?;
    let modern = ModernClient::new(hub.endpoint("red").with_key(&modern_key));
    let mut calls = Vec::new();
    for number in 0..CALLS {
        // Ids of both kinds that JSON-RPC has; `1` and `"1"` are different ids.
        let id = if number % 2 == 0 { number.to_string() } else { format!("\"{}\"", number - 1) };
        for (name, client) in [("red", &red), ("blue", &blue), ("third", &third)] {
            let (id, client, text) = (id.clone(), client.clone(), format!("{name} {number}"));
            calls.push(tokio::spawn(async move {
                let params = call_params("tool_000", &format!(r#"{{"text":"{text}"}}"#));
                let answer = client.request_as(&id, "tools/call", &params).await?;
                anyhow::Ok((text, answer.first_text()?))
            }));
        }
        let (client, text) = (modern.clone(), format!("modern {number}"));
        calls.push(tokio::spawn(async move {
            let params = call_params("tool_000", &format!(r#"{{"text":"{text}"}}"#));
            let answer = client.request_as(&id, "tools/call", &params).await?;
            anyhow::Ok((text, answer.first_text()?))
        }));
    }
    server.until_held(4 * CALLS).await.with_context(|| hub.output())?;
    server.release();
    for finished in try_join_all(calls).await? {
        let (asked, answered) = finished?;
        assert_eq!(answered, format!("scripted/tool_000: {asked}"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_legacy_server_do_not_cross() -> Result<()> {
    answers_do_not_cross(Eras::Legacy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_modern_server_do_not_cross() -> Result<()> {
    answers_do_not_cross(Eras::Modern).await
}

/// The same over the one child that two keys share.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_shared_child_do_not_cross() -> Result<()> {
    let hub = TestHub::start(&format!(
        "servers:\n  sample: {{ {}, instances: shared }}\nprofiles:\n  \
         red: {{ auth: api_key, servers: {{ sample: {{ prefix: \"\" }} }} }}\n  \
         blue: {{ auth: api_key, servers: {{ sample: {{ prefix: \"\" }} }} }}\n",
        crate::children::sample_server("shared")?
    ))
    .await?;
    let (red, blue) = (session(&hub, "red").await?, session(&hub, "blue").await?);
    let mut calls = Vec::new();
    for number in 0..SHARED_CALLS {
        for (name, client) in [("red", &red), ("blue", &blue)] {
            let (client, text) = (client.clone(), format!("{name} {number}"));
            calls.push(tokio::spawn(async move {
                let params = call_params("echo", &format!(r#"{{"text":"{text}"}}"#));
                let answer = client.request_as(&number.to_string(), "tools/call", &params).await?;
                anyhow::Ok((text, answer.first_text()?))
            }));
        }
    }
    for finished in try_join_all(calls).await? {
        let (asked, answered) = finished?;
        assert_eq!(answered, asked);
    }
    assert_eq!(crate::children::marked(&hub, "shared")?.len(), 1, "two keys share one child");
    Ok(())
}

/// With another key, of the same profile or another, a session is as absent as
/// one that never was: for requests, for its stream and for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_absent_for_other_keys() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = hub_with(&server).await?;
    let owner = session(&hub, "red").await?;
    owner.request("tools/call", &call_params("tool_000", r#"{"text":"warm"}"#)).await?.result()?;
    for profile in ["red", "blue"] {
        let key = hub.create_key(profile).await?;
        let stranger = owner.through(hub.endpoint(profile).with_key(&key));
        let before = server.requests();
        let call = message::request("7", "tools/call", &call_params("tool_000", r#"{"text":"x"}"#));
        let refused = stranger.post(call).await?.expect_status(404)?;
        let unknown = hub.endpoint(profile).with_key(&key).with_header("mcp-session-id", "never-was");
        let call = message::request("7", "tools/call", &call_params("tool_000", r#"{"text":"x"}"#));
        let absent = unknown.post(call, &[("mcp-protocol-version", message::LEGACY)]).await?;
        assert_eq!(refused.status, absent.status);
        assert_eq!(refused.body, absent.body, "nothing tells the two apart");
        assert_eq!(stranger.listen().await?.status, 404);
        assert_eq!(stranger.delete().await?.status, 404);
        server.assert_untouched_since(before)?;
    }
    let answer = owner.request("tools/call", &call_params("tool_000", r#"{"text":"still"}"#)).await?;
    assert_eq!(answer.first_text()?, "scripted/tool_000: still");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_gone() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = hub_with(&server).await?;
    let client = session(&hub, "red").await?;
    client.request("tools/list", "{}").await?.result()?;
    assert!(client.delete().await?.status.is_success());
    let after = client.post(message::request("1", "tools/list", "{}")).await?;
    assert_eq!(after.status, 404);
    Ok(())
}

/// Session ids are the only secret of a session beside the key: none repeats.
#[tokio::test(flavor = "multi_thread")]
async fn session_ids_differ() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = hub_with(&server).await?;
    let key = hub.create_key("red").await?;
    let endpoint = hub.endpoint("red").with_key(&key);
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let client = LegacyClient::connect(endpoint.clone()).await?;
        let id = client.session().context("no session id")?.to_owned();
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}: visible ASCII alone");
        assert!(ids.insert(id));
    }
    Ok(())
}

/// A change of the server's tools reaches who listens in either era, and the
/// new list is there to be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_list_is_announced_in_both_eras() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 2)).await?;
    let hub = hub_with(&server).await?;
    let legacy = session(&hub, "red").await?;
    let key = hub.create_key("red").await?;
    let modern = ModernClient::new(hub.endpoint("red").with_key(&key));
    assert_eq!(legacy.request("tools/list", "{}").await?.entries("tools")?.len(), 2);
    assert_eq!(modern.request("tools/list", "{}").await?.entries("tools")?.len(), 2);
    let mut stream = legacy.listen().await?;
    assert_eq!(stream.status, 200);
    let filter = r#"{"notifications":{"toolsListChanged":true}}"#;
    let mut subscription = modern.open("\"sub\"", "subscriptions/listen", filter).await?;
    let first = subscription.event().await?.context("no acknowledgement")?;
    assert!(first.data.contains("notifications/subscriptions/acknowledged"), "{first:?}");
    // The lists were the hub's own: each caller's instance is only now being made.
    crate::children::eventually("the hub listens as itself and for each of the two", || {
        Ok(server.received_of("subscriptions/listen") == 3)
    })
    .await?;
    server.change_tools(5);
    for listener in [&mut stream, &mut subscription] {
        let event = listener.event().await?.context("the stream ended")?;
        assert!(event.data.contains("notifications/tools/list_changed"), "{event:?}");
    }
    assert_eq!(legacy.request("tools/list", "{}").await?.entries("tools")?.len(), 5);
    assert_eq!(modern.request("tools/list", "{}").await?.entries("tools")?.len(), 5);
    Ok(())
}

/// The hub opens a new session with a server that has forgotten the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_its_sessions_is_greeted_again() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(Eras::Legacy)).await?;
    let hub = hub_with(&server).await?;
    let client = session(&hub, "red").await?;
    for round in 0..2 {
        let params = call_params("tool_000", &format!(r#"{{"text":"{round}"}}"#));
        let answer = client.request("tools/call", &params).await?;
        assert_eq!(answer.first_text()?, format!("scripted/tool_000: {round}"));
        server.forget_sessions();
    }
    Ok(())
}

/// Without a key, with a wrong one, and with one of another profile, the
/// endpoint answers 401 or 403 and no server is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_reaches_no_server() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = hub_with(&server).await?;
    let blue = hub.create_key("blue").await?;
    let before = server.requests();
    let wrong = [None, Some("tlk_wrong"), Some(blue.as_str())];
    for key in wrong {
        let endpoint = hub.endpoint("red");
        let endpoint = key.map_or(endpoint.clone(), |key| endpoint.with_key(key));
        let hello = message::request("1", "initialize", &message::initialize_params(message::LEGACY, "{}"));
        let response = endpoint.post(hello, &[]).await?;
        assert!(matches!(response.status.as_u16(), 401 | 403), "{key:?}: {}", response.status);
        assert!(response.header("mcp-session-id").is_none());
        let listening = endpoint.send(Method::GET, String::new(), &[("accept", "text/event-stream")]).await?;
        assert!(matches!(listening.status.as_u16(), 401 | 403), "{key:?}: {}", listening.status);
    }
    server.assert_untouched_since(before)
}

/// A stream that was let in does not outlive the key that let it in.
#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_with_their_key() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1)).await?;
    let hub = hub_with(&server).await?;
    let client = session(&hub, "red").await?;
    let mut stream = client.listen().await?;
    let listed: serde_json::Value = serde_json::from_str(&hub.cli(&["key", "list", "--json"]).await?)?;
    let keys = listed.as_array().or_else(|| listed["keys"].as_array()).context("no keys")?;
    let id = keys.first().and_then(|key| key["id"].as_str()).context("no key")?;
    hub.cli(&["key", "revoke", id]).await?;
    let to_its_end = async {
        while stream.event().await?.is_some() {}
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), to_its_end)
        .await
        .context("the stream goes on")?
}
