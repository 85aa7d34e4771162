//! Session ids that the hub did not give, gave to someone else, or has ended.

use anyhow::{Context as _, Result};
use http::Method;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message;
use trunkline_tests::raw::RawRequest;
use trunkline_tests::sse_client::SseClient;

use super::stage::{Refusal, Row, Stage, call, refused, unread};

const MESSAGE: &str = "Session not found; begin again with initialize";

/// A request, the stream and the end of a session, with this id.
fn rows(stage: &Stage, name: &str, change: impl Fn(RawRequest) -> RawRequest) -> Vec<Row> {
    let not_found = |method| match method {
        "POST" => refused(404, -32001, MESSAGE),
        _ => unread(404, -32001, MESSAGE),
    };
    let rows = ["POST", "GET", "DELETE"].iter().map(|method| Row {
        name: format!("{method} with {name}"),
        request: change(stage.call().aimed(method, "/mcp/red")),
        refusal: not_found(*method),
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_was_changed_is_nobodys() -> Result<()> {
    let stage = Stage::set().await?;
    let id = stage.session.clone();
    let middle = id.len() / 2;
    let flipped = |at: usize| {
        let mut bytes = id.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut changed = vec![
        String::new(),
        "0".to_owned(),
        "null".to_owned(),
        "../../etc/passwd".to_owned(),
        "' OR 1=1 --".to_owned(),
        "a".repeat(20_000),
        id[..id.len() - 1].to_owned(),
        id[1..].to_owned(),
        format!("{id}A"),
        format!("{id}="),
        format!("{id}, {id}"),
        format!("x{id}"),
        id.to_uppercase(),
        id.to_lowercase(),
        id.replace('.', "_"),
        flipped(0),
        flipped(middle),
    ];
    // Every place of the sealed part, the last one included.
    changed.extend((id.len() - 40..id.len()).map(flipped));
    let mut all = Vec::new();
    for other in &changed {
        let shown: String = other.chars().take(60).collect();
        all.extend(rows(&stage, &shown, |request| request.set("Mcp-Session-Id", other)));
    }
    let missing = "the header Mcp-Session-Id is missing; begin with initialize";
    for (method, refusal) in [
        ("POST", refused(400, -32600, missing)),
        ("GET", unread(400, -32600, missing)),
        ("DELETE", unread(400, -32600, missing)),
    ] {
        let request = stage.call().aimed(method, "/mcp/red").without("Mcp-Session-Id");
        all.push(Row { name: format!("{method} without one"), request, refusal });
    }
    stage.refuses(all).await?;
    stage.accepts(&stage.call()).await?;
    Ok(())
}

/// Another key of the same profile, and a key of another profile, do not find
/// it; nor does its owner once it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_its_owners_until_it_ends() -> Result<()> {
    let stage = Stage::set().await?;
    let colleague = stage.hub.create_key("red").await?;
    let mut all = rows(&stage, "a colleague's key", |request| {
        request.set("Authorization", format!("Bearer {colleague}"))
    });
    all.extend(rows(&stage, "a colleague's key and an event id", |request| {
        request.set("Authorization", format!("Bearer {colleague}")).with("Last-Event-Id", "1")
    }));
    let elsewhere = rows(&stage, "a key of another profile", |request| {
        let target = request.target.replace("red", "blue");
        let method = request.method.clone();
        request.aimed(&method, &target).set("Authorization", format!("Bearer {}", stage.other_key))
    });
    all.extend(elsewhere);
    let open = rows(&stage, "no key where none is needed", |request| {
        let method = request.method.clone();
        request.aimed(&method, "/mcp/open").without("Authorization")
    });
    all.extend(open);
    stage.refuses(all).await?;
    stage.accepts(&stage.call()).await?;
    let end = stage.request().aimed("DELETE", "/mcp/red");
    assert_eq!(stage.send(&end).await?.status, 200);
    // The end of the session closes what it had open at the server.
    let known = stage.server.received_of("tools/call");
    for row in rows(&stage, "its owner, after the end", |request| request) {
        let response = stage.send(&row.request).await?;
        assert_eq!(response.status, 404, "{}", row.name);
        assert_eq!(response.json()?["error"]["code"], -32001, "{}", row.name);
    }
    assert_eq!(stage.server.received_of("tools/call"), known);
    Ok(())
}

/// A profile that the operator took away takes its sessions and keys with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_gone_is_gone_at_once() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&stage.call()).await?;
    stage.hub.rewrite_configuration(&format!(
        "limits: {{ request_bytes: {} }}\nservers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         blue: {{ auth: api_key, servers: {{ scripted: {{}} }} }}\n",
        super::stage::LARGEST,
        stage.server.url
    ))?;
    super::stage::until_async(async || Ok(stage.send(&stage.call()).await?.status == 404)).await?;
    let gone = unread(404, -32600, "there is no profile named \"red\" here");
    let rows = ["POST", "GET", "DELETE"].iter().map(|method| Row {
        name: (*method).to_owned(),
        request: stage.call().aimed(method, "/mcp/red"),
        refusal: gone,
    });
    stage.refuses(rows.collect()).await
}

/// `initialize` gives an id of its own, whatever id it was sent with.
#[tokio::test(flavor = "multi_thread")]
async fn no_id_can_be_planted() -> Result<()> {
    let stage = Stage::set().await?;
    let hello = message::request("1", "initialize", &message::initialize_params(message::LEGACY, "{}"));
    for planted in [stage.session.as_str(), "planted"] {
        let response =
            stage.accepts(&stage.request().set("Mcp-Session-Id", planted).body(hello.clone())).await?;
        let given = response.header("mcp-session-id").context("no session")?;
        assert_ne!(given, planted);
        assert_ne!(given, stage.session);
    }
    Ok(())
}

/// The two transports do not take each other's ids, and the old one has the
/// same owner check.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_the_old_transport_are_guarded_alike() -> Result<()> {
    let stage = Stage::set().await?;
    let endpoint = stage.hub.endpoint("red").with_key(&stage.key).at(&stage.hub.url("red/sse"));
    let mut stream = endpoint.send(Method::GET, String::new(), &[("accept", "text/event-stream")]).await?;
    let first = stream.event().await?.context("no endpoint")?;
    assert_eq!(first.name, "endpoint");
    let address = first.data;
    let id = address.split_once("sessionId=").context("no session id")?.1.to_owned();
    let colleague = stage.hub.create_key("red").await?;
    let not_found = refused(404, -32001, "Session not found; open the stream again");
    let query = unread(400, -32600, "the query must have one sessionId; open the stream with a GET first");
    let at = |target: &str| stage.call().without("Mcp-Session-Id").aimed("POST", target);
    let row =
        |name: &str, request: RawRequest, refusal: Refusal| Row { name: name.to_owned(), request, refusal };
    let with = |id: &str| format!("/mcp/red/sse?sessionId={id}");
    stage
        .refuses(vec![
            row("no id", at("/mcp/red/sse"), query),
            row("two ids", at(&format!("{address}&sessionId={id}")), query),
            row("an empty id", at(&with("")), not_found),
            row("a changed id", at(&with(&format!("{id}x"))), not_found),
            row("an id that is no UTF-8", at(&with("%ff")), not_found),
            row("an id of the new transport", at(&with(&stage.session)), not_found),
            row(
                "a colleague's key",
                at(&address).set("Authorization", format!("Bearer {colleague}")),
                not_found,
            ),
            row(
                "a batch",
                at(&address).body("[]"),
                unread(400, -32600, "JSON-RPC batches are not part of …"),
            ),
            row(
                "plain text",
                at(&address).set("Content-Type", "text/plain"),
                unread(415, -32600, "the Content-Type must be application/json"),
            ),
        ])
        .await?;
    drop(stream);
    // Who goes away takes the session with it.
    super::stage::until_async(async || Ok(stage.send(&at(&address)).await?.status == 404)).await
}

/// The old transport works beside all of this, and its clients do not stop
/// the hub for others.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_transport_serves_its_owner() -> Result<()> {
    let stage = Stage::set().await?;
    let endpoint = stage.hub.endpoint("red").with_key(&stage.key).at(&stage.hub.url("red/sse"));
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(SseClient::connect(&endpoint, "2024-11-05").await?);
    }
    for client in &mut clients {
        let params = trunkline_tests::connection::call_params("scripted__tool_000", r#"{"text":"x"}"#);
        assert_eq!(client.request("tools/call", &params).await?.first_text()?, "scripted/tool_000: x");
    }
    let client = LegacyClient::connect(stage.hub.endpoint("red").with_key(&stage.key)).await?;
    assert_eq!(client.post(call("scripted__tool_000", "{}")).await?.status, 200);
    Ok(())
}
