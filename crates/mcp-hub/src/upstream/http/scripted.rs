//! Servers on loopback that answer as a test says and tell what they were asked.

pub(crate) mod stateful;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use trunkline_model::{EraPin, HttpEndpoint, HttpTransport, ServerAuth, ServerName};
use trunkline_web::Egress;

use super::Link;
use crate::upstream::{InstanceKey, Limits, Outgoing, Scope, ServerEvent};

/// What a server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// `null` when there was no body.
    pub(crate) body: Value,
}

impl Asked {
    /// The JSON-RPC method, or the HTTP method of a request without body.
    pub(crate) fn what(&self) -> &str {
        match self.body["method"].as_str() {
            Some(method) => method,
            None if self.body.is_object() => "reply",
            None => self.method.as_str(),
        }
    }

    /// The id of the request as it stands in its body.
    pub(crate) fn id(&self) -> String {
        self.body["id"].to_string()
    }
}

/// A server and the line of what it was asked.
pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::unbounded_channel();
        let script = Arc::new(script);
        let app = Router::new().fallback(move |request: Request| {
            let (script, sender) = (Arc::clone(&script), sender.clone());
            async move {
                let asked = read(request).await;
                let response = script(&asked);
                let _ = sender.send(asked);
                response
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked }
    }

    /// The next request whose [`Asked::what`] is `what`; those before it are skipped.
    pub(crate) async fn next(&mut self, what: &str) -> Asked {
        let found = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let asked = self.asked.recv().await.unwrap();
                if asked.what() == what {
                    return asked;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what} was not asked"))
    }

    /// What is asked up to and with `what`.
    pub(crate) async fn until(&mut self, what: &str) -> Vec<String> {
        let mut all = Vec::new();
        while all.last().is_none_or(|last| last != what) {
            let asked = tokio::time::timeout(Duration::from_secs(10), self.asked.recv()).await;
            all.push(asked.unwrap_or_else(|_| panic!("{what} was not asked")).unwrap().what().to_owned());
        }
        all
    }

    /// What was asked so far and not taken yet.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(asked) = self.asked.try_recv() {
            all.push(asked.what().to_owned());
        }
        all
    }
}

async fn read(request: Request) -> Asked {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Asked {
        method: head.method,
        path: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

/// A link to `url` and the line of its events.
pub(crate) fn link_to(url: &str) -> (Link, mpsc::Receiver<(InstanceKey, ServerEvent)>) {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (events, received) = mpsc::channel(16);
    let link = Link {
        credential: None,
        key: InstanceKey { server: ServerName::new("scripted").unwrap(), scope: Scope::Everybody },
        endpoint: HttpEndpoint {
            url: url.to_owned(),
            transport: HttpTransport::Auto,
            headers: Vec::new(),
            auth: ServerAuth::None,
        },
        era: EraPin::Auto,
        events,
        egress: Egress::upstream().unwrap(),
        limits: Limits { message_bytes: 4096, ..Limits::default() },
    };
    (link, received)
}

/// A `tools/call` of the tool `name`.
pub(crate) fn call(id: u64, name: &str) -> Outgoing {
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}});
    Outgoing {
        id,
        method: "tools/call".to_owned(),
        body: body.to_string().into(),
        name: Some(name.to_owned()),
        param_headers: Vec::new(),
    }
}

pub(crate) fn json_body(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json")], body.to_owned()).into_response()
}

pub(crate) fn status(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

/// The result `result` for what was asked.
pub(crate) fn result(asked: &Asked, result: &str) -> Response {
    json_body(200, &result_text(&asked.id(), result))
}

pub(crate) fn result_text(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub(crate) fn error_text(id: &str, code: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#)
}

/// An event stream that ends after `text`, sent in pieces of `piece` bytes.
pub(crate) fn events_in_pieces(text: &str, piece: usize) -> Response {
    let pieces: Vec<_> =
        text.as_bytes().chunks(piece).map(|chunk| Ok::<_, String>(Bytes::copy_from_slice(chunk))).collect();
    ([("content-type", "text/event-stream")], Body::from_stream(stream::iter(pieces))).into_response()
}

pub(crate) fn events(text: &str) -> Response {
    events_in_pieces(text, usize::MAX)
}

/// An event stream that a test writes to, and that ends when the test drops the sender.
pub(crate) fn open_events(mut receiver: mpsc::UnboundedReceiver<String>) -> Response {
    let body =
        stream::poll_fn(move |context| receiver.poll_recv(context).map(|next| next.map(Ok::<_, String>)));
    ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response()
}

pub(crate) fn data(message: &str) -> String {
    format!("data: {message}\n\n")
}

/// A legacy server with a session: `otherwise` answers what is no handshake.
pub(crate) fn legacy(asked: &Asked, otherwise: impl FnOnce(&Asked) -> Response) -> Response {
    match asked.what() {
        "initialize" => {
            let greeting = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{}},"serverInfo":{"name":"s"}}"#;
            let mut response = result(asked, greeting);
            response.headers_mut().insert("mcp-session-id", "session-7".parse().unwrap());
            response
        }
        "server/discover" => json_body(400, &error_text("null", -32000)),
        "notifications/initialized" => status(202),
        _ => otherwise(asked),
    }
}

/// A modern server: `otherwise` answers what is not `server/discover`.
pub(crate) fn modern(asked: &Asked, otherwise: impl FnOnce(&Asked) -> Response) -> Response {
    match asked.what() {
        "server/discover" => result(
            asked,
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
        ),
        _ => otherwise(asked),
    }
}
