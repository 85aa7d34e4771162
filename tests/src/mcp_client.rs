//! Raw MCP clients over streamable HTTP, one for each era of the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use http::Method;

use crate::http::{BOTH, Endpoint, Response, Streaming};
use crate::message::{self, Answer, Envelope, LEGACY, MODERN};

/// A client of 2025-11-25 or older: `initialize` and a session.
#[derive(Debug, Clone)]
pub struct LegacyClient {
    endpoint: Endpoint,
    version: String,
    session: Option<String>,
    initialized: Arc<Answer>,
    next_id: Arc<AtomicU64>,
}

impl LegacyClient {
    /// Opens a session as a client of 2025-11-25 that cannot be asked back.
    pub async fn connect(endpoint: Endpoint) -> Result<Self> {
        Self::connect_as(endpoint, LEGACY, "{}").await
    }

    /// Opens a session as a client of `version` that can do what
    /// `capabilities` (a JSON object) says.
    pub async fn connect_as(endpoint: Endpoint, version: &str, capabilities: &str) -> Result<Self> {
        let body = message::request("0", "initialize", &message::initialize_params(version, capabilities));
        let response = endpoint.post(body, &[]).await?.expect_status(200)?;
        let answer = answer_in(&response, "0")?;
        let negotiated = answer.result_value()?;
        let version = negotiated["protocolVersion"].as_str().context("no protocolVersion")?.to_owned();
        let client = Self {
            session: response.header("mcp-session-id").map(str::to_owned),
            endpoint,
            version,
            initialized: Arc::new(answer),
            next_id: Arc::new(AtomicU64::new(1)),
        };
        client.notify("notifications/initialized", "{}").await?;
        Ok(client)
    }

    /// The id that the server gave the session, if it keeps sessions.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The answer to `initialize`.
    pub fn initialized(&self) -> &Answer {
        &self.initialized
    }

    /// The same session, asked with other credentials or from another place.
    #[must_use]
    pub fn through(&self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self.clone() }
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![("mcp-protocol-version", self.version.as_str())];
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session));
        }
        headers
    }

    /// Sends a request and reads its answer. `params` is a JSON object.
    pub async fn request(&self, method: &str, params: &str) -> Result<Answer> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        self.request_as(&id, method, params).await
    }

    /// Sends a request under an id of the caller's choice, written as JSON.
    pub async fn request_as(&self, id: &str, method: &str, params: &str) -> Result<Answer> {
        let response = self.post(message::request(id, method, params)).await?;
        if !response.status.is_success() {
            bail!("{method}: {} {:?}", response.status, response.body);
        }
        answer_in(&response, id)
    }

    /// Sends any body within the session.
    pub async fn post(&self, body: String) -> Result<Response> {
        self.endpoint.post(body, &self.headers()).await
    }

    /// Sends a request and gives the stream that its answer comes on.
    pub async fn open(&self, id: &str, method: &str, params: &str) -> Result<Streaming> {
        let mut headers = self.headers();
        headers.extend([("content-type", "application/json"), ("accept", BOTH)]);
        self.endpoint.send(Method::POST, message::request(id, method, params), &headers).await
    }

    /// Sends a notification, which the server must accept with 202.
    pub async fn notify(&self, method: &str, params: &str) -> Result<()> {
        self.post(message::notification(method, params)).await?.expect_status(202)?;
        Ok(())
    }

    /// Opens the stream on which the server speaks unasked.
    pub async fn listen(&self) -> Result<Streaming> {
        let mut headers = self.headers();
        headers.push(("accept", "text/event-stream"));
        self.endpoint.send(Method::GET, String::new(), &headers).await
    }

    /// Takes up a stream after the event with this id.
    pub async fn resume(&self, last: &str) -> Result<Streaming> {
        let mut headers = self.headers();
        headers.extend([("accept", "text/event-stream"), ("last-event-id", last)]);
        self.endpoint.send(Method::GET, String::new(), &headers).await
    }

    /// Ends the session.
    pub async fn delete(&self) -> Result<Response> {
        self.endpoint.send(Method::DELETE, String::new(), &self.headers()).await?.whole().await
    }
}

/// A client of 2026-07-28: no session, metadata on each request.
#[derive(Debug, Clone)]
pub struct ModernClient {
    endpoint: Endpoint,
    capabilities: String,
    next_id: Arc<AtomicU64>,
}

impl ModernClient {
    /// A client that cannot be asked back.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_capabilities(endpoint, "{}")
    }

    /// A client that can do what `capabilities` (a JSON object) says.
    pub fn with_capabilities(endpoint: Endpoint, capabilities: &str) -> Self {
        Self { endpoint, capabilities: capabilities.to_owned(), next_id: Arc::new(AtomicU64::new(1)) }
    }

    /// Sends a request and reads its answer. `params` is a JSON object; the
    /// metadata is added to it.
    pub async fn request(&self, method: &str, params: &str) -> Result<Answer> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        self.request_as(&id, method, params).await
    }

    /// Sends a request under an id of the caller's choice, written as JSON.
    pub async fn request_as(&self, id: &str, method: &str, params: &str) -> Result<Answer> {
        let response = self.open(id, method, params).await?.whole().await?;
        answer_in(&response, id).with_context(|| format!("{method}: {}", response.status))
    }

    /// Sends a request and gives the stream that its answer comes on.
    pub async fn open(&self, id: &str, method: &str, params: &str) -> Result<Streaming> {
        let params = message::with_modern_meta(params, &self.capabilities)?;
        let headers = modern_headers(method, &params)?;
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend([("content-type", "application/json"), ("accept", BOTH)]);
        self.endpoint.send(Method::POST, message::request(id, method, &params), &headers).await
    }
}

/// The headers that repeat the body (2026-07-28, basic/transports): version,
/// method, and the name of what is called, fetched, read or waited for.
fn modern_headers(method: &str, params: &str) -> Result<Vec<(&'static str, String)>> {
    let mut headers = vec![("mcp-protocol-version", MODERN.to_owned()), ("mcp-method", method.to_owned())];
    let field = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(headers),
    };
    let fields: serde_json::Value = serde_json::from_str(params)?;
    if let Some(name) = fields[field].as_str() {
        headers.push(("mcp-name", name.to_owned()));
    }
    Ok(headers)
}

/// The answer to the request `id` among the messages of a body.
fn answer_in(response: &Response, id: &str) -> Result<Answer> {
    let mut before = Vec::new();
    for text in response.messages()? {
        let envelope = Envelope::parse(&text)?;
        if envelope.answers(id) {
            return Ok(Answer { result: envelope.result, error: envelope.error, before });
        }
        before.push(envelope);
    }
    bail!("{} without an answer to {id}: {:?}", response.status, response.body)
}
