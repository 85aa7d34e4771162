//! What lives longer than one answer: cancellation, resumption, events.

use std::sync::Mutex;

use tokio::sync::mpsc;
use trunkline_model::Identity;

use super::*;
use crate::upstream::{Offer, Scope, ServerEvent, next_id};

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;

/// Answers `tools/call` with one stream that the test writes to.
fn held(receiver: mpsc::UnboundedReceiver<String>) -> impl Fn(&Asked) -> axum::response::Response {
    let receiver = Mutex::new(Some(receiver));
    move |asked| match asked.what() {
        "tools/call" => open_events(receiver.lock().unwrap().take().unwrap()),
        "GET" => status(405),
        _ => status(202),
    }
}

#[tokio::test]
async fn dropping_a_legacy_exchange_tells_the_server() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let script = held(receiver);
    let mut server = Scripted::start(move |asked| legacy(asked, &script)).await;
    let connection = connected(&server.url).await;
    sender.send(data(NOTE)).unwrap();
    let id = next_id();
    let Exchange::Open(mut exchange) = connection.ask(call(id, "a")).await.unwrap() else { panic!("open") };
    exchange.next().await.unwrap();
    drop(exchange);
    let cancelled = server.next("notifications/cancelled").await;
    assert_eq!(cancelled.body["params"]["requestId"], id);
    assert_eq!(cancelled.headers["mcp-session-id"], "session-7");
    sender.closed().await;
}

#[tokio::test]
async fn dropping_a_modern_exchange_closes_its_stream_and_says_nothing() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let script = held(receiver);
    let mut server = Scripted::start(move |asked| modern(asked, &script)).await;
    let connection = connected(&server.url).await;
    sender.send(data(NOTE)).unwrap();
    let exchange = connection.ask(call(next_id(), "a")).await.unwrap();
    assert!(matches!(exchange, Exchange::Open(_)));
    drop(exchange);
    sender.closed().await;
    // Whatever the drop has sent comes before what is sent after it.
    connection.wire.notify_aside("marker", r#"{"jsonrpc":"2.0","method":"marker"}"#.into()).await;
    assert_eq!(server.until("marker").await, ["server/discover", "tools/call", "marker"]);
}

#[tokio::test]
async fn giving_up_a_call_before_its_first_message_cancels_it_too() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let script = held(receiver);
    let mut server = Scripted::start(move |asked| legacy(asked, &script)).await;
    let connection = connected(&server.url).await;
    let id = next_id();
    let calling = tokio::spawn(async move { connection.ask(call(id, "a")).await.map(drop) });
    server.next("tools/call").await;
    calling.abort();
    assert_eq!(server.next("notifications/cancelled").await.body["params"]["requestId"], id);
    sender.closed().await;
}

#[tokio::test]
async fn an_answered_exchange_is_not_cancelled() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let script = held(receiver);
    let mut server = Scripted::start(move |asked| legacy(asked, &script)).await;
    let connection = connected(&server.url).await;
    let id = next_id();
    sender.send(data(NOTE) + &data(&result_text(&id.to_string(), "{}"))).unwrap();
    let Exchange::Open(mut exchange) = connection.ask(call(id, "a")).await.unwrap() else { panic!("open") };
    while exchange.next().await.unwrap().method().is_some() {}
    drop(exchange);
    drop(connection);
    let asked = server.until("DELETE").await;
    assert!(!asked.iter().any(|what| what == "notifications/cancelled"), "{asked:?}");
}

#[tokio::test]
async fn a_numbered_legacy_stream_is_taken_up_where_it_broke() {
    let id = next_id();
    let mut server = Scripted::start(move |asked| {
        legacy(asked, |asked| match (asked.what(), asked.headers.get("last-event-id")) {
            ("tools/call", _) => events("id: e1\nretry: 1\ndata:\n\n"),
            ("GET", Some(last)) if last == "e1" => {
                events(&data(&result_text(&id.to_string(), r#"{"late":1}"#)))
            }
            ("GET", None) => status(405),
            _ => status(202),
        })
    })
    .await;
    let connection = connected(&server.url).await;
    assert_eq!(done(connection.ask(call(id, "a")).await.unwrap()), r#"{"late":1}"#);
    server.next("tools/call").await;
    assert_eq!(server.next("GET").await.headers["mcp-session-id"], "session-7");
}

#[tokio::test]
async fn a_stream_that_never_gets_further_is_given_up() {
    let server = Scripted::start(|asked| {
        legacy(asked, |asked| match (asked.what(), asked.headers.contains_key("last-event-id")) {
            ("GET", false) => status(405),
            _ => events("id: e1\nretry: 1\ndata:\n\n"),
        })
    })
    .await;
    let connection = connected(&server.url).await;
    let error = connection.ask(call(next_id(), "a")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn what_a_legacy_server_says_unasked_becomes_events_and_survives_a_lost_stream() {
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"first":1}}"#;
    let mut server = Scripted::start(move |asked| {
        legacy(asked, |asked| match asked.headers.get("last-event-id") {
            _ if asked.what() != "GET" => status(202),
            None => events(&format!("id: 9\nretry: 1\n{}", data(changed))),
            Some(_) => status(405),
        })
    })
    .await;
    let (link, mut events) = link_to(&server.url);
    let connection = connect(link).await.unwrap();
    let (_, event) = events.recv().await.unwrap();
    let ServerEvent::Notification(note) = event else { panic!("{event:?}") };
    assert_eq!(note.bytes(), changed);
    server.next("GET").await;
    assert_eq!(server.next("GET").await.headers["last-event-id"], "9");
    drop(connection);
}

#[tokio::test]
async fn a_session_that_a_server_forgets_closes_the_link() {
    let streams = Mutex::new(0);
    let server = Scripted::start(move |asked| {
        legacy(asked, |asked| {
            if asked.what() != "GET" {
                return status(202);
            }
            let mut streams = streams.lock().unwrap();
            *streams += 1;
            if *streams == 1 { events("retry: 1\n\n") } else { status(404) }
        })
    })
    .await;
    let (link, mut events) = link_to(&server.url);
    let _connection = connect(link).await.unwrap();
    let (_, event) = events.recv().await.unwrap();
    assert!(matches!(event, ServerEvent::Closed { .. }), "{event:?}");
}

#[tokio::test]
async fn a_modern_server_is_listened_to_and_a_lost_stream_counts_as_a_change() {
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"first":1}}"#;
    let acknowledged = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#;
    let streams = Mutex::new(0);
    let mut server = Scripted::start(move |asked| match asked.what() {
        "server/discover" => result(
            asked,
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{}}}"#,
        ),
        "subscriptions/listen" => {
            let mut streams = streams.lock().unwrap();
            *streams += 1;
            match *streams {
                1 => events(&format!("retry: 1\n{}{}", data(acknowledged), data(changed))),
                _ => events(&format!("retry: 60000\n{}", data(acknowledged))),
            }
        }
        _ => status(500),
    })
    .await;
    let (link, mut events) = link_to(&server.url);
    let _connection = connect(link).await.unwrap();
    let mut notes = Vec::new();
    for _ in 0..2 {
        let (_, event) = events.recv().await.unwrap();
        let ServerEvent::Notification(note) = event else { panic!("{event:?}") };
        notes.push(String::from_utf8(note.bytes().to_vec()).unwrap());
    }
    assert_eq!(notes, [changed, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#]);
    let listen = server.next("subscriptions/listen").await;
    assert_eq!(listen.body["params"]["notifications"], serde_json::json!({"toolsListChanged": true}));
    assert_eq!(listen.headers["mcp-method"], "subscriptions/listen");
}

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{}}"#;

/// A server with two streams to write to, the session's and its one call's.
struct TwoStreams {
    server: Scripted,
    connection: Arc<HttpConnection>,
    session: mpsc::UnboundedSender<String>,
    call: mpsc::UnboundedSender<String>,
}

impl TwoStreams {
    async fn start(offer: &str) -> Self {
        let ((session, beside), (call, own)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (beside, own) = (Mutex::new(Some(beside)), Mutex::new(Some(own)));
        let server = Scripted::start(move |asked| {
            legacy(asked, |asked| match asked.what() {
                "GET" => open_events(beside.lock().unwrap().take().unwrap()),
                "tools/call" => open_events(own.lock().unwrap().take().unwrap()),
                _ => status(202),
            })
        })
        .await;
        let (mut link, _) = link_to(&server.url);
        link.key.scope = Scope::Identity(Identity::hub(), Offer::new(offer));
        Self { connection: http(connect(link).await.unwrap()), server, session, call }
    }
}

#[tokio::test]
async fn what_is_asked_beside_the_only_call_reaches_it() {
    let TwoStreams { mut server, connection, session, call: own } =
        TwoStreams::start(r#"{"elicitation":{}}"#).await;
    let id = next_id();
    let asked = tokio::spawn(async move { connection.ask(call(id, "a")).await });
    // A question for which no stream is open would be lost.
    assert_eq!(server.until("tools/call").await[3..], ["GET", "tools/call"]);
    session.send(data(QUESTION)).unwrap();
    let Exchange::Open(mut exchange) = asked.await.unwrap().unwrap() else { panic!("open") };
    assert_eq!(exchange.next().await.unwrap().bytes(), QUESTION);
    exchange.reply().send(result_text("7", r#"{"action":"accept"}"#).into());
    assert_eq!(server.next("reply").await.body["result"]["action"], "accept");
    own.send(data(&result_text(&id.to_string(), r#"{"done":1}"#))).unwrap();
    assert_eq!(exchange.next().await.unwrap().payload(), Some(r#"{"done":1}"#));
}

#[tokio::test]
async fn what_is_asked_beside_no_call_or_of_no_client_is_refused() {
    for (offer, calls) in [(r#"{"elicitation":{}}"#, false), ("{}", true)] {
        let mut stage = TwoStreams::start(offer).await;
        let connection = Arc::clone(&stage.connection);
        let asked = tokio::spawn(async move { connection.ask(call(next_id(), "a")).await });
        stage.server.next("tools/call").await;
        if !calls {
            asked.abort();
            stage.server.next("notifications/cancelled").await;
        }
        stage.session.send(data(QUESTION)).unwrap();
        assert_eq!(stage.server.next("reply").await.body["error"]["code"], -32601, "{offer}");
    }
}
