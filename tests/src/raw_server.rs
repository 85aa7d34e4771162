//! A legacy MCP server on loopback that answers tool calls and lists with
//! whatever bytes a test gives it, in whatever pieces.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::message::{LEGACY, MODERN};

/// One request as it reached the server.
#[derive(Debug, Clone)]
pub struct RawCall {
    pub http_method: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The JSON-RPC method, where the body has one.
    pub method: String,
    /// The JSON-RPC id.
    pub id: Value,
    pub params: Value,
}

impl RawCall {
    /// The argument `text` of a tool call.
    pub fn text(&self) -> &str {
        self.params["arguments"]["text"].as_str().unwrap_or_default()
    }

    /// A whole answer to this call with the text `ok`.
    pub fn answer(&self) -> String {
        self.answer_with(&json!({ "content": [{ "type": "text", "text": "ok" }] }))
    }

    pub fn answer_with(&self, result: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": self.id, "result": result }).to_string()
    }
}

/// What the server does for an answer, one after the other.
#[derive(Debug, Clone)]
pub enum Step {
    Write(Vec<u8>),
    /// Writes the same again and again until the other side has closed.
    Drip(Vec<u8>, Duration),
    /// Waits until as many answers as the barrier counts have come here.
    Meet(Arc<Barrier>),
    /// Says nothing until the other side has closed.
    Hang,
    /// Closes the connection.
    Close,
}

type Script = dyn Fn(&RawCall) -> Option<Vec<Step>> + Send + Sync;

/// A running server; it ends when this is dropped.
pub struct RawServer {
    pub url: String,
    received: Arc<Mutex<Vec<RawCall>>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for RawServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RawServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl RawServer {
    /// Listens on a free port of loopback. `script` answers each request, or
    /// leaves it to a well-behaved server with the one tool `tool`.
    pub async fn start(
        script: impl Fn(&RawCall) -> Option<Vec<Step>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let received = Arc::new(Mutex::default());
        let script: Arc<Script> = Arc::new(script);
        let kept = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                // A connection that breaks is what most tests here are about.
                tokio::spawn(async move { drop(serve(stream, &script, &kept).await) });
            }
        });
        Ok(Self { url, received, task })
    }

    /// What reached the server so far.
    pub fn received(&self) -> Vec<RawCall> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests reached the server so far.
    pub fn requests(&self) -> u64 {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// How many requests were for this JSON-RPC method.
    pub fn received_of(&self, method: &str) -> usize {
        self.received().iter().filter(|call| call.method == method).count()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: &Arc<Script>, kept: &Mutex<Vec<RawCall>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let call = read(&mut stream, &mut buffer).await?;
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        let steps = script(&call).unwrap_or_else(|| vec![Step::Write(well_behaved(&call))]);
        for step in steps {
            match step {
                Step::Write(bytes) => stream.write_all(&bytes).await?,
                Step::Drip(bytes, every) => {
                    let mut tick = tokio::time::interval(every);
                    loop {
                        tick.tick().await;
                        stream.write_all(&bytes).await?;
                    }
                }
                Step::Meet(barrier) => {
                    barrier.wait().await;
                }
                Step::Hang => while stream.read(&mut [0; 1024]).await? > 0 {},
                Step::Close => return Ok(()),
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<RawCall> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection ended");
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let http_method = lines.next().and_then(|line| line.split(' ').next()).context("no method")?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Ok(0), |(_, value)| value.parse())?;
    while buffer.len() < head_end + length {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection ended");
    }
    let rest = buffer.split_off(head_end + length);
    let body = String::from_utf8_lossy(&buffer[head_end..]).into_owned();
    *buffer = rest;
    let message: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    Ok(RawCall {
        http_method,
        headers,
        method: message["method"].as_str().unwrap_or_default().to_owned(),
        id: message["id"].clone(),
        params: message["params"].clone(),
        body,
    })
}

/// A whole HTTP answer.
pub fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The head of an answer whose body comes in chunks.
pub fn chunked_head(content_type: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n")
        .into_bytes()
}

/// One piece of such a body; the empty one ends it.
pub fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn well_behaved(call: &RawCall) -> Vec<u8> {
    let result = match (call.http_method.as_str(), call.method.as_str()) {
        ("POST", "initialize") => json!({
            "protocolVersion": LEGACY,
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "raw", "version": "1.0.0" },
        }),
        ("POST", "tools/list") => json!({ "tools": [tool("tool")] }),
        ("POST", "tools/call") => json!({ "content": [{ "type": "text", "text": "ok" }] }),
        ("POST", method) if call.id.is_null() && !method.is_empty() => {
            return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec();
        }
        ("POST", _) => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            let body = json!({ "jsonrpc": "2.0", "id": call.id, "error": error }).to_string();
            return http("200 OK", "application/json", &body);
        }
        _ => return b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n".to_vec(),
    };
    http("200 OK", "application/json", &call.answer_with(&result))
}

/// What a modern server with these tools answers to all that comes before a
/// call; nothing to a call.
pub fn modern(call: &RawCall, tools: &[Value]) -> Option<Vec<Step>> {
    let mut result = match call.method.as_str() {
        "server/discover" => json!({ "supportedVersions": [MODERN], "capabilities": { "tools": {} } }),
        "tools/list" => json!({ "tools": tools, "ttlMs": 0, "cacheScope": "private" }),
        _ => return None,
    };
    result["resultType"] = "complete".into();
    Some(vec![Step::Write(http("200 OK", "application/json", &call.answer_with(&result)))])
}

/// An entry of `tools/list`.
pub fn tool(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}
