//! HTTP on loopback without interpretation: status, headers and bytes as they
//! came, and server-sent events as they arrive.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(2);
/// No request of a test takes longer.
pub const LIMIT: Duration = Duration::from_mins(1);

/// One place to send requests to, with headers that each of them carries.
#[derive(Debug, Clone)]
pub struct Endpoint {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    headers: Vec<(String, String)>,
}

impl Endpoint {
    /// An endpoint without credentials, with connections of its own.
    #[expect(clippy::disallowed_methods, reason = "a client of the hub, not the hub's own")]
    pub fn new(url: &str) -> Self {
        // Node closes a connection after 5 s without a request; one that is older must not be used again.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build_http();
        Self { client, url: url.to_owned(), headers: Vec::new() }
    }

    /// The same with an API key.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {key}"))
    }

    /// The same with one more header on each request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same headers and connections towards another URL.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and gives the answer as soon as its headers are there.
    pub async fn send(&self, method: Method, body: String, headers: &[(&str, &str)]) -> Result<Streaming> {
        let mut request = Request::builder().method(method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let response = timeout(LIMIT, self.client.request(request))
            .await
            .with_context(|| format!("no answer from {} in {LIMIT:?}", self.url))?
            .with_context(|| format!("asking {}", self.url))?;
        let (parts, body) = response.into_parts();
        Ok(Streaming { status: parts.status, headers: parts.headers, body, buffer: BytesMut::new() })
    }

    /// Sends a JSON body and reads the whole answer.
    pub async fn post(&self, body: String, headers: &[(&str, &str)]) -> Result<Response> {
        let mut all = vec![("content-type", "application/json"), ("accept", BOTH)];
        all.extend_from_slice(headers);
        self.send(Method::POST, body, &all).await?.whole().await
    }

    /// Asks with GET and reads the whole answer.
    pub async fn get(&self, headers: &[(&str, &str)]) -> Result<Response> {
        self.send(Method::GET, String::new(), headers).await?.whole().await
    }
}

/// What a client of streamable HTTP must accept.
pub const BOTH: &str = "application/json, text/event-stream";

/// An answer whose body may still be on its way.
#[derive(Debug)]
pub struct Streaming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One server-sent event (WHATWG HTML, section 9.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: String,
}

impl Streaming {
    /// The rest of the body.
    pub async fn whole(self) -> Result<Response> {
        let Self { status, headers, body, mut buffer } = self;
        let rest = timeout(LIMIT, body.collect()).await.context("the body did not end")??;
        buffer.extend_from_slice(&rest.to_bytes());
        Ok(Response { status, headers, body: buffer.freeze() })
    }

    pub fn is_event_stream(&self) -> bool {
        is_event_stream(&self.headers)
    }

    /// The next event that carries data, or none at the end of the stream.
    pub async fn event(&mut self) -> Result<Option<Event>> {
        while let Some(event) = self.frame().await? {
            if !event.data.is_empty() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next event, with or without data; a comment counts as an empty one.
    pub async fn frame(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer) {
                return Ok(Some(parse_event(&frame)));
            }
            let frame = timeout(LIMIT, self.body.frame()).await.context("no event in time")?;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(data) = frame?.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The bytes up to the next empty line, when it is there.
fn take_frame(buffer: &mut BytesMut) -> Option<String> {
    let text = std::str::from_utf8(buffer).ok()?;
    let end = ["\n\n", "\r\n\r\n"]
        .iter()
        .filter_map(|mark| text.find(mark).map(|at| (at, at + mark.len())))
        .min_by_key(|(at, _)| *at)?
        .1;
    let frame = buffer.split_to(end);
    String::from_utf8(frame.to_vec()).ok()
}

fn parse_event(frame: &str) -> Event {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in frame.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => event.id = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    event
}

impl Response {
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} {:?}", self.status, self.body))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The JSON-RPC messages in the body, whichever of the two forms it has.
    pub fn messages(&self) -> Result<Vec<String>> {
        if !is_event_stream(&self.headers) {
            return Ok(vec![self.text()?.to_owned()]);
        }
        let mut buffer = BytesMut::from(&self.body[..]);
        let mut messages = Vec::new();
        while let Some(frame) = take_frame(&mut buffer) {
            messages.push(parse_event(&frame).data);
        }
        messages.retain(|data| !data.is_empty());
        Ok(messages)
    }

    /// Fails, showing the body, unless the status is this one.
    pub fn expect_status(self, status: u16) -> Result<Self> {
        if self.status.as_u16() != status {
            bail!("{} instead of {status}: {:?}", self.status, self.body);
        }
        Ok(self)
    }
}

/// A port on loopback that was free a moment ago, for programs that cannot
/// choose one themselves.
pub async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}
