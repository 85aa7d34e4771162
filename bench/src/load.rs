//! A bounded load: some connections, each sending one request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Who is asked, and what every request to it carries.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The MCP endpoint of each connection, by turns.
    pub(crate) paths: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) client: Client,
}

/// Which era a client speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    /// With a session.
    Legacy,
    /// Without one; each request names its method and the tool.
    Modern { method: &'static str, tool: Option<&'static str> },
}

/// One kept-open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    path: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How long each request took, sorted.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

impl Connection {
    /// Opens the connection number `index` to `target`.
    pub(crate) async fn open(target: &Target, index: usize) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Its requests see the failure.
            let _ = connection.await;
        });
        let mut headers = HeaderMap::new();
        headers.insert(HOST, target.address.to_string().parse()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(key) = &target.key {
            headers.insert(http::header::AUTHORIZATION, format!("Bearer {key}").parse()?);
        }
        let path = target.paths.get(index % target.paths.len()).context("a target without a path")?.clone();
        Ok(Self { sender, headers, path })
    }

    /// Makes the connection ready for requests of this kind of client.
    pub(crate) async fn greet(&mut self, client: Client) -> Result<()> {
        match client {
            Client::Legacy => self.set_up_session().await,
            Client::Modern { method, tool } => {
                self.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static("2026-07-28"));
                self.headers.insert(METHOD, HeaderValue::from_static(method));
                if let Some(tool) = tool {
                    self.headers.insert(NAME, HeaderValue::from_static(tool));
                }
                Ok(())
            }
        }
    }

    /// From here on each request goes to this path.
    pub(crate) fn aim(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    /// From here on each request carries this header.
    pub(crate) fn set_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// `initialize` and `notifications/initialized`; the session goes with all later requests.
    pub(crate) async fn set_up_session(&mut self) -> Result<()> {
        self.headers.remove(SESSION_ID);
        self.headers.remove(PROTOCOL_VERSION);
        let answer = self.post(initialize()).await?;
        if answer.status != StatusCode::OK {
            bail!("initialize: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        let session = answer.headers.get(SESSION_ID).context("initialize gave no session")?;
        self.headers.insert(SESSION_ID, session.clone());
        self.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static("2025-11-25"));
        let accepted = self.post(initialized()).await?;
        if accepted.status != StatusCode::ACCEPTED {
            bail!("notifications/initialized: {}", accepted.status);
        }
        Ok(())
    }

    /// Opens the stream of the session and gives back its connection's answer, unread.
    pub(crate) async fn open_stream(&mut self) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.path.parse()?;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        Ok(self.sender.send_request(request).await?)
    }

    /// Sends a request that is answered with a stream, and gives that, unread.
    pub(crate) async fn post_for_stream(&mut self, body: Bytes) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.parse()?;
        *request.headers_mut() = self.headers.clone();
        Ok(self.sender.send_request(request).await?)
    }

    pub(crate) async fn post(&mut self, body: Bytes) -> Result<Answer> {
        self.send(Method::POST, body).await
    }

    pub(crate) async fn send(&mut self, method: Method, body: Bytes) -> Result<Answer> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.parse()?;
        *request.headers_mut() = self.headers.clone();
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// One step of the load on a connection; it is timed as a whole.
pub(crate) trait Step: Clone + Send + Sync + 'static {
    fn take(&self, connection: &mut Connection) -> impl Future<Output = Result<()>> + Send;
}

/// Runs `count` steps over `connections`, as fast as they are answered.
pub(crate) async fn run(
    connections: &mut Vec<Connection>,
    count: usize,
    step: impl Step,
) -> Result<Latencies> {
    let left = Arc::new(AtomicUsize::new(count));
    let mut running = JoinSet::new();
    for mut connection in connections.drain(..) {
        let (left, step) = (Arc::clone(&left), step.clone());
        running.spawn(async move {
            let mut taken = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                let start = Instant::now();
                step.take(&mut connection).await?;
                taken.push(start.elapsed());
            }
            anyhow::Ok((connection, taken))
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(ended) = running.join_next().await {
        let (connection, taken) = ended??;
        connections.push(connection);
        all.extend(taken);
    }
    all.sort_unstable();
    Ok(Latencies(all))
}

impl Latencies {
    /// The latency that `share` of the requests did not exceed, in microseconds.
    pub(crate) fn quantile_micros(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "counts are small"
        )]
        let index = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// A POST that must be answered with HTTP 200 and at least so many bytes.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) body: Bytes,
    pub(crate) answer_bytes: usize,
    /// Whether the answer may be compressed; it is not read then.
    pub(crate) gzip: bool,
}

impl Step for Ask {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        if self.gzip {
            connection.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let answer = connection.post(self.body.clone()).await?;
        if answer.status != StatusCode::OK || answer.body.len() < self.answer_bytes {
            bail!("a request was not answered: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }
}

/// A new session on the same connection.
#[derive(Debug, Clone)]
pub(crate) struct SetUpSession;

impl Step for SetUpSession {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        connection.set_up_session().await
    }
}

fn initialize() -> Bytes {
    Bytes::from_static(
        br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    )
}

fn initialized() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

pub(crate) fn list_tools() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#)
}

/// A call with the arguments of an ordinary tool.
pub(crate) fn call_tool(name: &str) -> Bytes {
    let name = serde_json::Value::from(name);
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{{"key":"customer-4711","fields":["name","street","city"],"limit":10}}}}}}"#
    )
    .into()
}

/// The same of a modern client that can be asked by a form. `more` are further
/// members of the parameters, each with a comma behind it.
pub(crate) fn call_tool_modern(name: &str, more: &str) -> Bytes {
    let name = serde_json::Value::from(name);
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},{more}"arguments":{{"key":"customer-4711","fields":["name","street","city"],"limit":10}},{MODERN_META}}}}}"#
    )
    .into()
}

/// A modern client that wants to hear when the list of tools changes.
pub(crate) fn listen() -> Bytes {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},{MODERN_META}}}}}"#
    )
    .into()
}

const MODERN_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}}"#;
