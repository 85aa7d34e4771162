//! A raw MCP client of the HTTP+SSE transport (2024-11-05).

use anyhow::{Context as _, Result, bail};
use http::Method;

use crate::http::{Endpoint, Streaming};
use crate::message::{self, Answer, Envelope};

/// An open stream and the URL that the server gave for messages.
#[derive(Debug)]
pub struct SseClient {
    messages: Endpoint,
    stream: Streaming,
    next_id: u64,
}

impl SseClient {
    /// Opens the stream at `endpoint` and initializes as a client of `version`.
    pub async fn connect(endpoint: &Endpoint, version: &str) -> Result<Self> {
        let mut stream =
            endpoint.send(Method::GET, String::new(), &[("accept", "text/event-stream")]).await?;
        if !stream.status.is_success() {
            bail!("{}: {}", endpoint.url(), stream.status);
        }
        let first = stream.event().await?.context("the stream ended at once")?;
        if first.name != "endpoint" {
            bail!("the first event is {first:?}");
        }
        let messages = endpoint.at(&join(endpoint.url(), &first.data)?);
        let mut client = Self { messages, stream, next_id: 0 };
        client.request("initialize", &message::initialize_params(version, "{}")).await?.result()?;
        client.post(message::notification("notifications/initialized", "{}")).await?;
        Ok(client)
    }

    async fn post(&self, body: String) -> Result<()> {
        let response = self.messages.post(body, &[]).await?;
        if !response.status.is_success() {
            bail!("{}: {} {:?}", self.messages.url(), response.status, response.body);
        }
        Ok(())
    }

    /// Sends a request and reads its answer from the stream. `params` is a
    /// JSON object.
    pub async fn request(&mut self, method: &str, params: &str) -> Result<Answer> {
        let id = self.next_id.to_string();
        self.next_id += 1;
        self.post(message::request(&id, method, params)).await?;
        let mut before = Vec::new();
        while let Some(event) = self.stream.event().await? {
            let envelope = Envelope::parse(&event.data)?;
            if envelope.answers(&id) {
                return Ok(Answer { result: envelope.result, error: envelope.error, before });
            }
            before.push(envelope);
        }
        bail!("the stream ended before the answer to {method}")
    }
}

/// The URL for messages, which servers give absolute or from the root.
fn join(base: &str, given: &str) -> Result<String> {
    if given.contains("://") {
        return Ok(given.to_owned());
    }
    let base: http::Uri = base.parse()?;
    let authority = base.authority().context("no authority in the URL")?;
    Ok(format!("http://{authority}{given}"))
}
