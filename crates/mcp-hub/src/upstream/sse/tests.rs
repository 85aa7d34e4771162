//! Against scripted servers on loopback.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::{self, UnboundedSender};

use super::*;
use crate::upstream::http::connect;
use crate::upstream::http::scripted::*;
use crate::upstream::{Era, ServerEvent};

/// A server that answers on its stream: `script` says what comes for a POST.
pub(crate) struct Served {
    pub(crate) server: Scripted,
    stream: Arc<Mutex<Option<UnboundedSender<String>>>>,
}

pub(crate) async fn serve(script: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Served {
    let stream: Arc<Mutex<Option<UnboundedSender<String>>>> = Arc::default();
    let writer = Arc::clone(&stream);
    let server = Scripted::start(move |asked| match asked.what() {
        "GET" => {
            let (sender, receiver) = mpsc::unbounded_channel();
            sender.send("event: endpoint\ndata: /message?sessionId=3\n\n".to_owned()).unwrap();
            *writer.lock().unwrap() = Some(sender);
            open_events(receiver)
        }
        _ if !asked.path.starts_with("/message") => status(404),
        "initialize" => {
            let greeting = r#"{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"s"}}"#;
            push(&writer, &data(&result_text(&asked.id(), greeting)));
            status(202)
        }
        _ => {
            if let Some(events) = script(asked) {
                push(&writer, &events);
            }
            status(202)
        }
    })
    .await;
    Served { server, stream }
}

fn push(stream: &Mutex<Option<UnboundedSender<String>>>, events: &str) {
    stream.lock().unwrap().as_ref().unwrap().send(events.to_owned()).unwrap();
}

impl SseConnection {
    /// A call without the permit that only the guard can make.
    async fn ask(&self, outgoing: Outgoing) -> Result<OpenExchange, UpstreamError> {
        send(&self.wire, &self.inbox, outgoing.id, outgoing.body).await
    }
}

fn sse(connection: Connection) -> Arc<SseConnection> {
    match connection {
        Connection::Sse(connection) => connection,
        other => panic!("HTTP+SSE is expected: {other:?}"),
    }
}

#[tokio::test]
async fn an_old_server_is_found_and_answers_over_its_stream() {
    let mut served = serve(|asked| match asked.what() {
        "tools/call" => {
            let progress = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"n":1}}}}"#,
                asked.id()
            );
            Some(data(&progress) + &data(&result_text(&asked.id(), r#"{"ok":1}"#)))
        }
        _ => None,
    })
    .await;
    let (link, _events) = link_to(&served.server.url);
    let connection = sse(connect(link).await.unwrap());
    assert_eq!(connection.greeting().era, Era::Legacy);
    assert_eq!(connection.greeting().protocol_version, "2024-11-05");
    let mut exchange = connection.ask(call(next_id(), "a")).await.unwrap();
    assert!(exchange.next().await.unwrap().payload().unwrap().contains(r#""n":1"#));
    assert_eq!(exchange.next().await.unwrap().payload(), Some(r#"{"ok":1}"#));
    assert_eq!(
        served.server.so_far(),
        ["server/discover", "initialize", "GET", "initialize", "notifications/initialized", "tools/call"]
    );
}

#[tokio::test]
async fn answers_reach_their_own_requests_and_all_else_becomes_events() {
    let mut served = serve(|_| None).await;
    let (link, mut events) = link_to(&served.server.url);
    let connection = sse(connect(link).await.unwrap());
    let (one, two) = (next_id(), next_id());
    let mut first = connection.ask(call(one, "a")).await.unwrap();
    let mut second = connection.ask(call(two, "b")).await.unwrap();
    // Either request may have caused the first question, and one alone the second.
    push(&served.stream, &data(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#));
    push(&served.stream, &data(&result_text(&two.to_string(), "2")));
    push(&served.stream, &data(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#));
    push(&served.stream, &data(r#"{"jsonrpc":"2.0","id":2,"method":"roots/list"}"#));
    push(&served.stream, &data(&result_text(&one.to_string(), "1")));
    assert_eq!(first.next().await.unwrap().id(), Some("2"));
    assert_eq!(first.next().await.unwrap().payload(), Some("1"));
    assert_eq!(second.next().await.unwrap().payload(), Some("2"));
    let (_, event) = events.recv().await.unwrap();
    assert!(matches!(event, ServerEvent::Notification(_)), "{event:?}");
    let refusal = served.server.next("reply").await;
    assert_eq!((&refusal.body["id"], &refusal.body["error"]["code"]), (&1.into(), &(-32601).into()));
}

#[tokio::test]
async fn dropping_an_exchange_tells_the_server() {
    let mut served = serve(|_| None).await;
    let (link, _events) = link_to(&served.server.url);
    let connection = sse(connect(link).await.unwrap());
    let id = next_id();
    drop(connection.ask(call(id, "a")).await.unwrap());
    assert_eq!(served.server.next("notifications/cancelled").await.body["params"]["requestId"], id);
}

#[tokio::test]
async fn the_end_of_the_stream_fails_what_waits_and_closes_the_link() {
    let served = serve(|_| None).await;
    let (link, mut events) = link_to(&served.server.url);
    let connection = sse(connect(link).await.unwrap());
    let mut exchange = connection.ask(call(next_id(), "a")).await.unwrap();
    *served.stream.lock().unwrap() = None;
    assert!(matches!(exchange.next().await, Err(UpstreamError::Closed { .. })));
    let (_, event) = events.recv().await.unwrap();
    assert!(matches!(event, ServerEvent::Closed { .. }), "{event:?}");
    assert!(matches!(connection.ask(call(next_id(), "a")).await, Err(UpstreamError::SessionLost)));
}

#[tokio::test]
async fn dropping_the_link_closes_its_stream() {
    let served = serve(|_| None).await;
    let (link, _events) = link_to(&served.server.url);
    let connection = connect(link).await.unwrap();
    let stream = served.stream.lock().unwrap().clone().unwrap();
    drop(connection);
    stream.closed().await;
}
