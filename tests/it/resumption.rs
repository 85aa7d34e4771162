//! Connections of legacy clients that break: what came on a stream meanwhile
//! is there for the client that comes back for it, and for nobody else.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use trunkline_tests::client_program::Client;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::{Endpoint, Event, Streaming};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::Envelope;
use trunkline_tests::reference_server::ReferenceServer;
use trunkline_tests::scripted::{Eras, Received, Script, ScriptedServer};

/// A hub with one server, and a key of its profile.
struct Stage {
    hub: TestHub,
    key: String,
    endpoint: Endpoint,
}

impl Stage {
    async fn over(url: &str) -> Result<Self> {
        let hub = TestHub::start(&format!(
            "servers:\n  one: {{ url: {url:?} }}\nprofiles:\n  \
             team: {{ auth: api_key, servers: {{ one: {{ prefix: \"\" }} }} }}\n"
        ))
        .await?;
        let key = hub.create_key("team").await?;
        let endpoint = hub.endpoint("team").with_key(&key);
        Ok(Self { hub, key, endpoint })
    }
}

fn reporting(tool: &str, arguments: &serde_json::Value) -> String {
    json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } }).to_string()
}

fn slow() -> String {
    reporting("slow", &json!({ "milliseconds": 1_000 }))
}

/// Begins a call and gives its stream, and the id with which that begins.
async fn begun(client: &LegacyClient, params: &str) -> Result<(Streaming, String)> {
    let mut stream = client.open("5", "tools/call", params).await?;
    let first = stream.frame().await?.context("an empty stream")?;
    ensure!(first.data.is_empty() && first.name.is_empty(), "{first:?}");
    Ok((stream, first.id.context("no id to come back to")?))
}

/// All that comes on a stream, to its end.
async fn rest_of(mut stream: Streaming) -> Result<Vec<Event>> {
    ensure!(stream.status == 200, "{}", stream.status);
    let mut events = Vec::new();
    while let Some(event) = stream.event().await? {
        events.push(event);
    }
    Ok(events)
}

fn answers(event: &Event) -> Result<bool> {
    Ok(Envelope::parse(&event.data)?.answers("5"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_when_its_connection_breaks_and_is_answered_to_who_comes_back() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let stage = Stage::over(&server.url).await?;
    let client = LegacyClient::connect(stage.endpoint.clone()).await?;
    let (mut stream, _) = begun(&client, &slow()).await?;
    let progress = stream.event().await?.context("no progress")?;
    assert!(progress.data.contains("notifications/progress"), "{progress:?}");
    drop(stream);
    let last = progress.id.context("an event without an id")?;
    let events = rest_of(client.resume(&last).await?).await.with_context(|| stage.hub.output())?;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(answers(&events[0])? && events[0].data.contains("1000 ms"), "{events:?}");
    // It has been answered: what was sent may not have been received.
    assert_eq!(rest_of(client.resume(&last).await?).await?, events);
    let calls = client.request("tools/call", &call_params("count_calls", "{}")).await?.result_value()?;
    assert_eq!(
        calls["structuredContent"],
        json!({ "begun": 2, "cancelled": 0 }),
        "made once, cancelled never"
    );
    let (event, stream) = (events[0].id.clone().context("no id")?, client.clone());
    let over = stream.resume(&event).await?.whole().await?.expect_status(405)?;
    assert!(over.text()?.contains("has ended"), "{over:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_meanwhile_is_replayed_in_order() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let stage = Stage::over(&server.url).await?;
    let client = LegacyClient::connect(stage.endpoint.clone()).await?;
    let (stream, first) = begun(&client, &reporting("test_tool_with_progress", &json!({}))).await?;
    drop(stream);
    let mut resumed = client.resume(&first).await?;
    let reopened = resumed.frame().await?.context("an empty stream")?;
    assert_eq!((reopened.id.as_deref(), reopened.data.as_str()), (Some(first.as_str()), ""));
    let report = resumed.event().await?.context("no report")?;
    drop(resumed);
    let events = rest_of(client.resume(&report.id.context("no id")?).await?).await?;
    let said: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(report.data.contains(r#""progress":0"#) && said[0].contains(r#""progress":50"#), "{said:?}");
    assert!(said[1].contains(r#""progress":100"#) && answers(&events[2])?, "{said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_session_heard_is_replayed_on_its_own_stream_alone() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 1).eras(Eras::Legacy)).await?;
    let stage = Stage::over(&server.url).await?;
    let client = LegacyClient::connect(stage.endpoint.clone()).await?;
    client.request("tools/call", &call_params("tool_000", r#"{"text":"x"}"#)).await?.result()?;
    let mut stream = client.listen().await?;
    let first = stream.frame().await?.context("an empty stream")?.id.context("no id to come back to")?;
    crate::children::eventually("the session's stream is open", || {
        let received = server.received();
        let session = |one: &Received| one.headers.get("mcp-session-id").cloned();
        let called = received.iter().find(|one| one.method.as_deref() == Some("tools/call")).map(session);
        Ok(received.iter().any(|one| one.http_method == http::Method::GET && Some(session(one)) == called))
    })
    .await?;
    server.announce("notifications/one");
    server.announce("notifications/two");
    let one = stream.event().await?.context("the stream ended")?;
    let two = stream.event().await?.context("the stream ended")?;
    drop(stream);
    server.announce("notifications/three");
    for (last, expected) in
        [(&first, ["one", "two", "three"].as_slice()), (&one.id.clone().context("no id")?, &["two", "three"])]
    {
        let mut resumed = client.resume(last).await?;
        for method in expected {
            let event = resumed.event().await?.context("the stream ended")?;
            assert!(event.data.contains(&format!("notifications/{method}")), "{event:?}");
        }
    }
    ensure!(one.id != two.id);
    // What another process of the hub had kept is not known here; the client listens again all the same.
    let parts: Vec<&str> = first.split('.').collect();
    let mut earlier = client.resume(&format!("{}.1.0.7", parts[0])).await?;
    assert_eq!(earlier.status, 200);
    let event = earlier.event().await?.context("the stream ended")?;
    assert!(event.data.contains("list_changed"), "what changed meanwhile is not known: {event:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_reaches_what_is_another_sessions() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let stage = Stage::over(&server.url).await?;
    let (one, other) = (
        LegacyClient::connect(stage.endpoint.clone()).await?,
        LegacyClient::connect(stage.endpoint.clone()).await?,
    );
    let (of_one, first) = begun(&one, &slow()).await?;
    let (of_other, _) = begun(&other, &slow()).await?;
    drop((of_one, of_other));
    let cut = first.rsplit_once('.').context("an id without parts")?.0;
    let unknown = format!("{cut}.77");
    for (client, id) in [
        (&other, first.as_str()),
        (&one, cut),
        (&one, &unknown),
        (&one, "0"),
        (&one, "..."),
        (&one, "\u{e9}"),
        (&one, &"9".repeat(5_000)),
    ] {
        let refused = client.resume(id).await?.whole().await?.expect_status(400)?;
        let error = &refused.json()?["error"];
        assert!(
            error["code"] == -32600
                && error["message"].as_str().is_some_and(|why| why.contains("Last-Event-ID")),
            "{error}"
        );
    }
    let stranger = stage.hub.endpoint("team").with_key(&stage.hub.create_key("team").await?);
    assert_eq!(
        one.through(stranger).resume(&first).await?.status,
        404,
        "with another key the session is absent"
    );
    let events = rest_of(one.resume(&first).await?).await?;
    assert!(answers(events.last().context("nothing came")?)?, "the session itself comes back as before");
    one.delete().await?.expect_status(200)?;
    assert_eq!(one.resume(&first).await?.status, 404);
    Ok(())
}

/// SDKs of that time fail at an event without data.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_client_gets_no_empty_event() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let stage = Stage::over(&server.url).await?;
    let client = LegacyClient::connect_as(stage.endpoint.clone(), "2025-06-18", "{}").await?;
    let mut stream = client.open("5", "tools/call", &slow()).await?;
    let first = stream.frame().await?.context("an empty stream")?;
    assert!(first.data.contains("notifications/progress"), "{first:?}");
    drop(stream);
    let mut resumed = client.resume(&first.id.context("no id")?).await?;
    let reopened = resumed.frame().await?.context("an empty stream")?;
    assert_eq!(reopened, Event::default(), "a comment");
    assert!(answers(&resumed.event().await?.context("no answer")?)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_comes_back_by_itself() -> Result<()> {
    let Some(client) = Client::or_skip("the_typescript_sdk_comes_back_by_itself")? else { return Ok(()) };
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let stage = Stage::over(&server.url).await?;
    let plan = json!({ "tool": "slow", "arguments": { "milliseconds": 3_000 } }).to_string();
    let seen = client
        .node_script("typescript_resuming.mjs", &[stage.endpoint.url(), &stage.key, &plan])
        .await
        .with_context(|| stage.hub.output())?;
    assert_eq!(seen["cut"], 1, "{seen}");
    assert_eq!(seen["call"]["content"][0]["text"], "This took 3000 ms.");
    assert_eq!(seen["reports"], 1, "{seen}");
    // The second time it comes back for the answer to what it has cancelled itself.
    assert_eq!((&seen["resumed"], &seen["cancelled"]), (&json!([200, 405]), &json!(true)), "{seen}");
    assert_eq!(seen["errors"], 0, "it hears of nothing that could alarm it: {seen}");
    Ok(())
}
