//! Streams that clients keep open: they end with what let them in, cost no
//! server anything, and carry what their own client asked for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::Value;
use tokio::time::timeout;
use trunkline_tests::http::{Endpoint, Streaming};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message;
use trunkline_tests::scripted::{Script, ScriptedServer};

use super::stage::{LARGEST, META, OldStream, Row, Stage, refused, unread, until_async};

/// A stream that nobody may read any more ends within seconds.
const END: Duration = Duration::from_secs(10);
const LISTEN: &str = r#"{"notifications":{"toolsListChanged":true}}"#;

/// One stream of each kind, with its name.
async fn one_of_each(endpoint: &Endpoint) -> Result<Vec<(&'static str, Streaming)>> {
    let legacy = LegacyClient::connect(endpoint.clone()).await?.listen().await?;
    let modern = listening(endpoint, "1", LISTEN).await?;
    let old = OldStream::open(endpoint.clone()).await?.stream;
    Ok(vec![("of a session", legacy), ("subscriptions/listen", modern), ("of the old transport", old)])
}

/// A stream of `subscriptions/listen` whose acknowledgement has been read.
async fn listening(endpoint: &Endpoint, id: &str, params: &str) -> Result<Streaming> {
    let mut stream = ModernClient::new(endpoint.clone()).open(id, "subscriptions/listen", params).await?;
    let first: Value = serde_json::from_str(&stream.event().await?.context("no acknowledgement")?.data)?;
    ensure!(first["method"] == "notifications/subscriptions/acknowledged", "{first}");
    Ok(stream)
}

async fn all_end(streams: Vec<(&'static str, Streaming)>) -> Result<()> {
    for (kind, mut stream) in streams {
        let to_its_end = async {
            while stream.event().await?.is_some() {}
            anyhow::Ok(())
        };
        timeout(END, to_its_end).await.with_context(|| format!("the stream {kind} goes on"))??;
    }
    Ok(())
}

async fn keys(stage: &Stage) -> Result<Vec<Value>> {
    let listed: Value = serde_json::from_str(&stage.hub.cli(&["key", "list", "--json"]).await?)?;
    let keys = listed.as_array().or_else(|| listed["keys"].as_array()).context("no keys")?;
    Ok(keys.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stream_ends_with_its_key() -> Result<()> {
    let stage = Stage::set().await?;
    let known = keys(&stage).await?;
    let key = stage.hub.create_key("red").await?;
    let new = keys(&stage).await?.into_iter().find(|key| !known.iter().any(|old| old["id"] == key["id"]));
    let new = new.context("no new key")?;
    let streams = one_of_each(&stage.hub.endpoint("red").with_key(&key)).await?;
    let mut others = one_of_each(&stage.hub.endpoint("red").with_key(&stage.key)).await?;
    stage.hub.cli(&["key", "revoke", new["id"].as_str().context("no id")?]).await?;
    all_end(streams).await?;
    for (kind, other) in &mut others {
        let goes_on = timeout(Duration::from_millis(100), other.event()).await;
        ensure!(goes_on.is_err(), "a colleague's stream {kind} ended too: {goes_on:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stream_ends_when_its_key_expires() -> Result<()> {
    let stage = Stage::set().await?;
    let printed = stage.hub.cli(&["key", "create", "--profile", "red", "--expires", "2s", "--json"]).await?;
    let start = printed.find("tlk_").with_context(|| printed.clone())?;
    let key: String =
        printed[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let endpoint = stage.hub.endpoint("red").with_key(&key);
    let client = LegacyClient::connect(endpoint.clone()).await?;
    let streams = one_of_each(&endpoint).await?;
    all_end(streams).await?;
    let session = client.session().context("no session")?;
    let call = stage.call().set("Authorization", format!("Bearer {key}")).set("Mcp-Session-Id", session);
    let expired = unread(401, -32600, "This API key has expired. …");
    let rows = ["POST", "GET", "DELETE"].iter().map(|method| Row {
        name: format!("{method} in its session"),
        request: call.clone().aimed(method, "/mcp/red"),
        refusal: expired,
    });
    stage.refuses(rows.collect()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stream_ends_with_its_profile() -> Result<()> {
    let stage = Stage::set().await?;
    let streams = one_of_each(&stage.hub.endpoint("red").with_key(&stage.key)).await?;
    stage.hub.rewrite_configuration(&format!(
        "limits: {{ request_bytes: {LARGEST} }}\nservers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         blue: {{ auth: api_key, servers: {{ scripted: {{}} }} }}\n",
        stage.server.url
    ))?;
    all_end(streams).await
}

/// Streams that nothing is said on cost a connection each, no server a
/// question, and nobody else a wait; they leave nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn idle_streams_delay_nobody() -> Result<()> {
    const OF_EACH: usize = 60;
    let stage = Stage::set().await?;
    let endpoint = stage.hub.endpoint("red").with_key(&stage.key);
    let id = stage.hub.id()?;
    let before = trunkline_tests::process_facts::descriptors(id)?;
    let known = stage.server.requests();
    let mut streams = Vec::new();
    for _ in 0..OF_EACH {
        streams.extend(one_of_each(&endpoint).await?);
    }
    stage.server.assert_untouched_since(known)?;
    let started = Instant::now();
    for _ in 0..10 {
        stage.accepts(&stage.call()).await?;
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop((streams, endpoint));
    until_async(async || Ok(trunkline_tests::process_facts::descriptors(id)? < before + 20)).await
}

/// However many ask what there is, no server is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_discoveries_asks_no_server() -> Result<()> {
    const QUESTIONS: usize = 300;
    let stage = Stage::set().await?;
    let doors = stage.doors().await?;
    let known = stage.server.requests();
    let params = message::with_modern_meta("{}", "{}")?;
    let body = message::request("1", "server/discover", &params);
    let (_, modern) = &doors.requests[1];
    let request = modern.clone().without("Mcp-Name").set("Mcp-Method", "server/discover").body(body);
    let mut connection = trunkline_tests::raw::RawConnection::open(stage.address()).await?;
    connection.send_aside(request.bytes().repeat(QUESTIONS));
    for _ in 0..QUESTIONS {
        let response = connection.response("POST").await?;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    stage.server.assert_untouched_since(known)
}

/// The same id at several clients is as many streams: each hears what its own
/// request asked for, under its own id, and nobody ends another's.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_subscription_id_is_as_many_streams() -> Result<()> {
    let stage = Stage::set().await?;
    let red = stage.hub.endpoint("red").with_key(&stage.key);
    let colleague = stage.hub.endpoint("red").with_key(&stage.hub.create_key("red").await?);
    let mut own = listening(&red, "1", LISTEN).await?;
    let mut again = listening(&red, "\"1\"", LISTEN).await?;
    let prompts = r#"{"notifications":{"promptsListChanged":true}}"#;
    let mut others = listening(&colleague, "1", prompts).await?;
    // Nobody's word ends a stream: it ends when its client closes it.
    let cancel = message::notification("notifications/cancelled", r#"{"requestId":1}"#);
    for endpoint in [&colleague, &red] {
        let headers = [("mcp-protocol-version", message::MODERN), ("mcp-method", "notifications/cancelled")];
        endpoint.post(cancel.clone(), &headers).await?.expect_status(202)?;
    }
    stage.server.change_tools(3);
    for (stream, id) in [(&mut own, Value::from(1)), (&mut again, Value::from("1"))] {
        let event = timeout(END, stream.event()).await.context("nothing came")??.context("it ended")?;
        let message: Value = serde_json::from_str(&event.data)?;
        ensure!(message["method"] == "notifications/tools/list_changed", "{message}");
        ensure!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id, "{message}");
    }
    for (whose, stream) in [("its own", &mut own), ("the colleague's", &mut others)] {
        let more = timeout(Duration::from_millis(300), stream.event()).await;
        ensure!(more.is_err(), "{whose} stream heard {more:?}");
    }
    Ok(())
}

/// What a stream is to be about must be read in one way.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_malformed_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let doors = stage.doors().await?;
    let (_, modern) = &doors.requests[1];
    let many = (0..257).map(|number| format!("\"x://{number}\"")).collect::<Vec<_>>().join(",");
    let many = format!(r#"{{"resourceSubscriptions":[{many}]}}"#);
    let list = "\"resourceSubscriptions\" must be a list of URIs";
    let rows = [
        ("a list", "[]", "\"notifications\": an object is expected"),
        (
            "a kind twice",
            r#"{"toolsListChanged":false,"toolsListChanged":true}"#,
            "\"notifications\": the member \"toolsListChanged\" stands twice",
        ),
        (
            "a kind in another case",
            r#"{"ToolsListChanged":true}"#,
            "\"notifications\": the member \"ToolsListChanged\" differs from \"toolsListChanged\" only in its case",
        ),
        ("a URI alone", r#"{"resourceSubscriptions":"x://y"}"#, list),
        ("numbers", r#"{"resourceSubscriptions":[7]}"#, list),
        ("257 resources", many.as_str(), "\"resourceSubscriptions\" may have 256 URIs"),
    ];
    let rows = rows.map(|(name, notifications, message)| {
        let params = format!(r#"{{"notifications":{notifications},{META}}}"#);
        let request = modern.clone().without("Mcp-Name").set("Mcp-Method", "subscriptions/listen");
        Row {
            name: name.to_owned(),
            request: request.body(message::request("1", "subscriptions/listen", &params)),
            refusal: refused(200, -32602, message),
        }
    });
    stage.refuses(rows.into()).await
}

/// A GET without a session is no stream, whatever it asks to go on with.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_needs_a_session() -> Result<()> {
    let stage = Stage::set().await?;
    let endpoint = stage.hub.endpoint("red").with_key(&stage.key);
    let accept = ("accept", "text/event-stream");
    for more in [vec![accept], vec![accept, ("last-event-id", "1")], vec![accept, ("mcp-session-id", "x")]] {
        let response = endpoint.send(Method::GET, String::new(), &more).await?;
        let status = response.status.as_u16();
        let expected = if more.len() == 2 && more[1].0 == "mcp-session-id" { 404 } else { 400 };
        assert_eq!((status, response.is_event_stream()), (expected, false), "{more:?}");
    }
    Ok(())
}

/// The old transport takes a request before it is answered: who does not read
/// the answers has no more requests taken, and harms nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_stream_that_nobody_reads_takes_no_more_requests() -> Result<()> {
    /// Requests that one stream may have open, and what the sockets hold besides.
    const MOST: usize = 64 + 40;
    let script = Script::new("large", 1).answer_bytes(250_000);
    let server = ScriptedServer::start(script).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  large: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ large: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let endpoint = hub.endpoint("team");
    let other = LegacyClient::connect(endpoint.clone()).await?;
    let params = trunkline_tests::connection::call_params("large__tool_000", "{}");
    other.request("tools/call", &params).await?.result()?;
    let mut old = OldStream::open(endpoint.clone()).await?;
    let posts = endpoint.at(&format!("{}{}", hub.base(), old.address));
    let mut taken = 0;
    let refused = loop {
        let response = posts.post(message::request(&taken.to_string(), "tools/call", &params), &[]).await?;
        if response.status != 202 {
            break response;
        }
        taken += 1;
        ensure!(taken < MOST, "{taken} requests were taken");
        // Every answer is on its way before the next request.
        until_async(async || Ok(server.received_of("tools/call") > taken)).await?;
    };
    let said = "too many requests wait for their answers to be read; read the stream";
    assert_eq!(refused.status, 429);
    let error = serde_json::json!({ "code": -32600, "message": said });
    assert_eq!(refused.json()?, serde_json::json!({ "jsonrpc": "2.0", "id": taken, "error": error }));
    assert_eq!(server.received_of("tools/call"), taken + 1, "a refused request reached the server");
    other.request("tools/call", &params).await?.result()?;
    let mut answered = BTreeSet::new();
    for _ in 0..taken {
        let answer = old.message().await?;
        ensure!(answer["result"]["content"].is_array(), "{}: {}", answer["id"], answer["error"]);
        answered.insert(answer["id"].as_u64().context("no id")?);
    }
    ensure!(answered == (0..taken as u64).collect(), "{answered:?}");
    posts.post(message::request("\"again\"", "ping", "{}"), &[]).await?.expect_status(202)?;
    assert_eq!(old.message().await?["id"], "again");
    Ok(())
}
