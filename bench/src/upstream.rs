//! Scripted MCP servers of thirty tools each, at `/s0`, `/s1` and so on, and a
//! modern one at `/m`.
//!
//! The former speak the legacy era and answer with JSON bodies. `PUT /list`
//! sets what `tools/list` at `/list` answers, so that a proxy can be measured
//! with the bytes that the hub serves.

pub(crate) mod identity_provider;
pub(crate) mod modern;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

/// How many servers there are, and tools of each.
pub(crate) const SERVERS: usize = 10;
pub(crate) const TOOLS: usize = 30;
/// Servers of the large profile; the first of them are those of the other cases.
pub(crate) const SCALE_SERVERS: usize = 100;
/// Bytes of the whole answer to a `tools/call`.
const ANSWER_BYTES: usize = 1024;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// What is said, made once.
struct Script {
    lists: Vec<Bytes>,
    call: String,
    whole_list: Mutex<Bytes>,
    sessions: AtomicU64,
    modern: modern::Server,
    provider: identity_provider::Provider,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Serves until the process is stopped.
pub(crate) async fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let script = Arc::new(Script::new(listen)?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&script), request));
            // A client that goes away is no failure.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Script {
    fn new(listen: SocketAddr) -> Result<Self> {
        let text = "x".repeat(ANSWER_BYTES - envelope_of("0", &call_result("")).len());
        Ok(Self {
            provider: identity_provider::Provider::new(listen)?,
            lists: (0..SCALE_SERVERS).map(list_result).collect(),
            modern: modern::Server::new(&text),
            call: call_result(&text),
            whole_list: Mutex::new(Bytes::new()),
            sessions: AtomicU64::new(0),
        })
    }
}

/// One tool as real servers describe theirs: about 400 bytes.
fn list_result(server: usize) -> Bytes {
    let tools: Vec<_> = (0..TOOLS)
        .map(|tool| {
            json!({
                "name": format!("tool_{server}_{tool}"),
                "title": format!("Tool {tool}"),
                "description": "Looks up one record by its key and returns the fields that were asked for, as text.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "key": { "type": "string", "description": "The key of the record" },
                        "fields": { "type": "array", "items": { "type": "string" } },
                        "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10 },
                    },
                    "required": ["key"],
                },
                "annotations": { "readOnlyHint": true },
            })
        })
        .collect();
    json!({ "tools": tools }).to_string().into()
}

fn call_result(text: &str) -> String {
    json!({ "content": [{ "type": "text", "text": text }] }).to_string()
}

fn envelope_of(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

type Answer = Response<Either<Full<Bytes>, modern::Changes>>;

async fn answer(script: Arc<Script>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let Ok(body) = request.into_body().collect().await else { return Ok(empty(StatusCode::BAD_REQUEST)) };
    let body = body.to_bytes();
    if method == Method::PUT && path == "/list" {
        *script.whole_list.lock().unwrap_or_else(PoisonError::into_inner) = body;
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    if method == Method::PUT && path == modern::CHANGE {
        script.modern.change();
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    if path.starts_with(identity_provider::PATH) {
        return Ok(script.provider.said(&path, &body));
    }
    if method == Method::DELETE {
        return Ok(empty(StatusCode::OK));
    }
    if method != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    Ok(serde_json::from_slice(&body)
        .map_or_else(|_| empty(StatusCode::BAD_REQUEST), |envelope| said(&script, &path, &envelope)))
}

fn said(script: &Script, path: &str, envelope: &Envelope<'_>) -> Answer {
    let Some(id) = envelope.id.map(RawValue::get) else { return empty(StatusCode::ACCEPTED) };
    if path == modern::PATH {
        return script.modern.said(id, envelope);
    }
    let server = path.strip_prefix("/s").and_then(|server| server.parse::<usize>().ok()).unwrap_or(0);
    match envelope.method {
        "tools/call" => json_answer(StatusCode::OK, envelope_of(id, &script.call)),
        "tools/list" if path == "/list" => json_answer(
            StatusCode::OK,
            script.whole_list.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        ),
        "tools/list" => {
            let list = script.lists.get(server).map(|list| String::from_utf8_lossy(list)).unwrap_or_default();
            json_answer(StatusCode::OK, envelope_of(id, &list))
        }
        "initialize" => greeting(script, id),
        "ping" => json_answer(StatusCode::OK, envelope_of(id, "{}")),
        _ => {
            let error = r#"{"code":-32601,"message":"Method not found"}"#;
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
            json_answer(StatusCode::OK, body)
        }
    }
}

fn greeting(script: &Script, id: &str) -> Answer {
    let result = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "scripted", "version": "1" },
    });
    let mut answer = json_answer(StatusCode::OK, envelope_of(id, &result.to_string()));
    let session = script.sessions.fetch_add(1, Ordering::Relaxed);
    if let Ok(session) = HeaderValue::from_str(&format!("session-{session:020}")) {
        answer.headers_mut().insert(SESSION_ID, session);
    }
    answer
}

fn json_answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}
