//! The bridge between a client in memory and a scripted hub on loopback.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// One request as the hub saw it.
#[derive(Debug, Clone)]
struct Seen {
    verb: Method,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    fn result(&self, result: &Value) -> Response {
        (
            [("content-type", "application/json")],
            json!({ "jsonrpc": "2.0", "id": self.body["id"], "result": result }).to_string(),
        )
            .into_response()
    }
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
type Script = Arc<dyn Fn(Seen) -> Answer + Send + Sync>;

fn script<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Script
where
    F: Future<Output = Response> + Send + 'static,
{
    Arc::new(move |seen| Box::pin(answer(seen)))
}

struct Bridge {
    input: DuplexStream,
    output: Lines<BufReader<DuplexStream>>,
    task: JoinHandle<io::Result<()>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Bridge {
    async fn to(script: Script) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let seen = Seen { verb: head.method, headers: head.headers, body };
                log.lock().unwrap().push(seen.clone());
                script(seen).await
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self::to_address(&format!("http://{address}/mcp/eng"), Some("tlk_test"), seen)
    }

    fn to_address(url: &str, key: Option<&str>, seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
        }
        let egress = Egress::upstream().unwrap();
        let target = egress.target(&url.parse().unwrap()).unwrap();
        let endpoint = Endpoint { target, headers, key_env: "TRUNKLINE_KEY".to_owned() };
        let (input, from_client) = io::duplex(64 * 1024);
        let (to_client, output) = io::duplex(64 * 1024);
        Self {
            input,
            output: BufReader::new(output).lines(),
            task: tokio::spawn(relay(endpoint, egress, from_client, to_client)),
            seen,
        }
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        self.output.next_line().await.unwrap().expect("the bridge ended")
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn ask(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.next().await
    }

    /// Closes the input; gives what was still on its way out.
    async fn end(mut self) -> (Vec<String>, Vec<Seen>) {
        drop(self.input);
        let mut rest = Vec::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            rest.push(line);
        }
        self.task.await.unwrap().unwrap();
        let seen = self.seen.lock().unwrap().clone();
        (rest, seen)
    }
}

fn request(id: i64, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {} })
}

fn modern(id: i64, method: &str, name: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {
        "name": name, "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" }
    } })
}

fn events(messages: &[&str]) -> Response {
    let body: Vec<Result<String, io::Error>> = messages.iter().map(|text| Ok((*text).to_owned())).collect();
    ([("content-type", "text/event-stream; charset=utf-8")], Body::from_stream(stream::iter(body)))
        .into_response()
}

/// A hub with sessions, as one of revision 2025-11-25 is; the session is `s1`, and `s2` once `s1` is forgotten.
fn hub_with_sessions(forgets: bool) -> Script {
    let session = Arc::new(Mutex::new("s1"));
    let forgets = Arc::new(Mutex::new(forgets));
    script(move |seen| {
        let (session, forgets) = (Arc::clone(&session), Arc::clone(&forgets));
        async move {
            let name = *session.lock().unwrap();
            if seen.method() == "initialize" {
                let mut answer = seen.result(&json!({ "protocolVersion": "2025-06-18" }));
                answer.headers_mut().insert("mcp-session-id", name.parse().unwrap());
                return answer;
            }
            if seen.header("mcp-session-id") != Some(name) {
                return StatusCode::NOT_FOUND.into_response();
            }
            match (seen.verb.as_str(), seen.method()) {
                ("GET", _) => events(&[
                    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n",
                ]),
                ("DELETE", _) => StatusCode::NO_CONTENT.into_response(),
                (_, "notifications/initialized") => StatusCode::ACCEPTED.into_response(),
                (_, "forget") if std::mem::take(&mut *forgets.lock().unwrap()) => {
                    *session.lock().unwrap() = "s2";
                    StatusCode::NOT_FOUND.into_response()
                }
                _ => seen.result(&json!({ "session": name })),
            }
        }
    })
}

#[tokio::test]
async fn a_session_lives_from_initialize_to_delete() {
    let mut bridge = Bridge::to(hub_with_sessions(false)).await;
    assert_eq!(bridge.ask(&request(0, "initialize")).await["result"]["protocolVersion"], "2025-06-18");
    bridge.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    assert_eq!(bridge.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(bridge.ask(&request(1, "tools/list")).await["id"], 1);
    let (rest, seen) = bridge.end().await;
    assert_eq!(rest, [] as [&str; 0]);
    let first = &seen[0];
    assert_eq!((first.header("mcp-session-id"), first.header("mcp-protocol-version")), (None, None));
    assert_eq!(first.header("accept"), Some("application/json, text/event-stream"));
    for later in &seen[1..] {
        assert_eq!(later.header("mcp-session-id"), Some("s1"), "{later:?}");
        assert_eq!(later.header("mcp-protocol-version"), Some("2025-06-18"), "{later:?}");
    }
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer tlk_test")));
    assert_eq!(seen[1].method(), "notifications/initialized");
    assert_eq!(seen.last().unwrap().verb, Method::DELETE);
}

#[tokio::test]
async fn messages_sent_without_waiting_keep_their_order() {
    let mut bridge = Bridge::to(hub_with_sessions(false)).await;
    bridge.send(&request(0, "initialize")).await;
    bridge.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    bridge.send(&request(1, "tools/list")).await;
    let (rest, seen) = bridge.end().await;
    assert!(rest.iter().any(|line| line.contains(r#""session":"s1""#)), "{rest:?}");
    assert_eq!([seen[0].method(), seen[1].method()], ["initialize", "notifications/initialized"]);
}

#[tokio::test]
async fn a_forgotten_session_is_begun_anew_behind_the_clients_back() {
    let mut bridge = Bridge::to(hub_with_sessions(true)).await;
    bridge.ask(&request(0, "initialize")).await;
    let answer = bridge.ask(&request(1, "forget")).await;
    assert_eq!(answer, json!({ "jsonrpc": "2.0", "id": 1, "result": { "session": "s2" } }));
    let (_, seen) = bridge.end().await;
    let methods: Vec<&str> = seen.iter().map(Seen::method).collect();
    assert_eq!(methods, ["initialize", "forget", "initialize", "notifications/initialized", "forget", ""]);
}

#[tokio::test]
async fn what_cannot_be_taken_up_again_is_listened_to_from_now_on() {
    let opened = Arc::new(Mutex::new(0));
    let mut bridge = Bridge::to(script(move |seen| {
        let opened = Arc::clone(&opened);
        async move {
            match (seen.verb.as_str(), seen.header("last-event-id")) {
                ("GET", None) => {
                    *opened.lock().unwrap() += 1;
                    let method = format!("notifications/{}", opened.lock().unwrap());
                    let message = json!({ "jsonrpc": "2.0", "method": method });
                    events(&[&format!("retry: 1\nid: a\ndata: {message}\n\n")])
                }
                ("GET", Some(_)) => StatusCode::BAD_REQUEST.into_response(),
                _ if seen.method() == "initialize" => {
                    seen.result(&json!({ "protocolVersion": "2025-11-25" }))
                }
                _ => StatusCode::ACCEPTED.into_response(),
            }
        }
    }))
    .await;
    bridge.ask(&request(0, "initialize")).await;
    bridge.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    for method in ["notifications/1", "notifications/2"] {
        assert_eq!(bridge.next().await["method"], method);
    }
}

#[tokio::test]
async fn a_modern_request_repeats_its_metadata_in_headers() {
    let mut bridge = Bridge::to(script(async |seen| seen.result(&json!({})))).await;
    bridge.ask(&modern(1, "tools/call", "zähle")).await;
    let (_, seen) = bridge.end().await;
    assert_eq!(seen.len(), 1, "no session, nothing to end");
    assert_eq!(seen[0].header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(seen[0].header("mcp-method"), Some("tools/call"));
    assert_eq!(seen[0].header("mcp-name"), Some("=?base64?esOkaGxl?="));
    assert_eq!(seen[0].header("mcp-session-id"), None);
}

#[tokio::test]
async fn messages_pass_unchanged_and_on_one_line() {
    const DOCUMENT: &str =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\n \"result\":{\"n\":1.50,\"x\":\"\\u00e9\",\r\n\"x\":2}}\n";
    let answers = script(async |seen: Seen| match seen.method() {
        "json" => ([("content-type", "application/json")], DOCUMENT).into_response(),
        _ => events(&[
            "id: 1\ndata:\n\n: quiet\n\nda",
            "ta: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"p\": 1}}\n\nevent: message\nid: 2\n",
            "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":2,\"result\":{}}\n\nevent: other\ndata: x\n\n",
        ]),
    });
    let mut bridge = Bridge::to(answers).await;
    bridge.send(&request(1, "json")).await;
    assert_eq!(
        bridge.line().await,
        "{\"jsonrpc\":\"2.0\",\"id\":1,  \"result\":{\"n\":1.50,\"x\":\"\\u00e9\",  \"x\":2}}"
    );
    bridge.send(&request(2, "events")).await;
    assert_eq!(
        bridge.line().await,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"p\": 1}}"
    );
    assert_eq!(bridge.line().await, "{\"jsonrpc\":\"2.0\", \"id\":2,\"result\":{}}");
    assert_eq!(bridge.end().await.0, [] as [&str; 0]);
}

#[tokio::test]
async fn a_slow_request_delays_no_other() {
    let released = Arc::new(Notify::new());
    let answers = script(move |seen: Seen| {
        let released = Arc::clone(&released);
        async move {
            match seen.method() {
                "slow" => released.notified().await,
                _ => released.notify_one(),
            }
            seen.result(&json!({}))
        }
    });
    let mut bridge = Bridge::to(answers).await;
    bridge.send(&request(1, "slow")).await;
    bridge.send(&request(2, "quick")).await;
    // The slow one can only be answered once the quick one has been asked; the input may end before.
    let (rest, _) = bridge.end().await;
    assert_eq!(rest.len(), 2, "{rest:?}");
}

#[tokio::test]
async fn cancelling_a_modern_request_closes_its_stream() {
    let (gone, is_gone) = oneshot::channel::<()>();
    let gone = Mutex::new(Some(gone));
    let answers = script(move |seen: Seen| {
        let guard = gone.lock().unwrap().take();
        async move {
            if seen.method() == "quick" {
                return seen.result(&json!({}));
            }
            let first = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
            let open = stream::once(async move { Ok::<_, io::Error>(Bytes::from(first)) }).chain(
                stream::once(async move {
                    let _guard = guard;
                    std::future::pending().await
                }),
            );
            ([("content-type", "text/event-stream")], Body::from_stream(open)).into_response()
        }
    });
    let mut bridge = Bridge::to(answers).await;
    assert_eq!(bridge.ask(&modern(1, "tools/call", "slow")).await["method"], "notifications/progress");
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    bridge.send(&cancel).await;
    assert!(is_gone.await.is_err(), "the hub sees the stream close");
    assert_eq!(bridge.ask(&request(2, "quick")).await["id"], 2);
    let (rest, seen) = bridge.end().await;
    assert_eq!(rest, [] as [&str; 0]);
    assert_eq!(seen.len(), 2, "the cancellation itself is not posted");
}

#[tokio::test]
async fn a_subscription_does_not_keep_the_bridge_when_its_client_is_gone() {
    let answers = script(async |_| {
        let acknowledged =
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\"}\n\n";
        let open = stream::once(async move { Ok::<_, io::Error>(acknowledged) }).chain(stream::pending());
        ([("content-type", "text/event-stream")], Body::from_stream(open)).into_response()
    });
    let mut bridge = Bridge::to(answers).await;
    let acknowledged = bridge.ask(&modern(1, "subscriptions/listen", "")).await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(bridge.end().await.0, [] as [&str; 0]);
}

#[tokio::test]
async fn every_refusal_becomes_an_error_a_person_can_act_on() {
    let answers = script(async |seen: Seen| {
        let problem = |status: StatusCode| {
            (
                status,
                [("content-type", "application/problem+json")],
                r#"{"title":"No","detail":"because of X"}"#,
            )
                .into_response()
        };
        match seen.method() {
            "key" => problem(StatusCode::UNAUTHORIZED),
            "endpoint" => problem(StatusCode::NOT_FOUND),
            "redirect" => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
            "crash" => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
            "accepted" => StatusCode::ACCEPTED.into_response(),
            "torn" => events(&["data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n"]),
            "mcp" => (
                StatusCode::BAD_REQUEST,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"m","data":{"a":1}}}"#,
            )
                .into_response(),
            _ => (StatusCode::NOT_FOUND, json!({ "jsonrpc": "2.0", "id": seen.body["id"], "error": { "code": -32601, "message": "unknown" } }).to_string())
                .into_response(),
        }
    });
    let mut bridge = Bridge::to(answers).await;
    for (method, code, words) in [
        ("key", -31_003, "does not accept the key in TRUNKLINE_KEY"),
        ("endpoint", -31_003, "because of X"),
        ("redirect", -31_003, "elsewhere"),
        ("crash", -31_003, "HTTP 502"),
        ("accepted", -31_002, "HTTP 202"),
        ("mcp", -32_020, "m"),
        ("unknown", -32_601, "unknown"),
    ] {
        let answer = bridge.ask(&request(3, method)).await;
        assert_eq!(answer["id"], 3, "{method}");
        assert_eq!(answer["error"]["code"], code, "{method}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{method}: {answer}");
    }
    assert_eq!(bridge.ask(&request(4, "torn")).await["method"], "x");
    assert_eq!(bridge.next().await["error"]["code"], -31_002);

    bridge.input.write_all(b"{nonsense\n").await.unwrap();
    let answer = bridge.next().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32_700)));
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bridge = Bridge::to_address(&format!("http://{address}/mcp/eng"), None, Arc::default());
    let answer = bridge.ask(&request(1, "tools/list")).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(&address.to_string()) && message.contains("trunkline serve"), "{message}");
}

#[test]
fn a_header_has_a_name_and_a_value() {
    let (name, value) = parse_header("X-Team: a: b ").unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-team", "a: b"));
    assert!(value.is_sensitive());
    for bad in ["X-Team", ": a", "a b: c", "X: a\nb"] {
        assert!(parse_header(bad).is_err(), "{bad}");
    }
}
