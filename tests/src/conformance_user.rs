//! A client of either era that uses what a hub shows, answers what it is asked,
//! and repeats arguments in headers where a tool wants that.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::http::{Endpoint, Streaming};
use crate::mcp_client::{LegacyClient, ModernClient};
use crate::message::LEGACY;

/// What a client declares that can be asked everything.
pub const ASKABLE: &str = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{}}"#;
/// More rounds of questions than any scenario has.
const ROUNDS: usize = 10;
/// What an inputSchema says of an argument that a header repeats.
const HEADER: &str = "x-mcp-header";

/// A client that has been greeted.
#[derive(Debug)]
pub struct User {
    endpoint: Endpoint,
    capabilities: &'static str,
    client: Client,
    /// Calls so far: each has an id of its own.
    calls: AtomicU64,
}

#[derive(Debug)]
enum Client {
    Legacy(LegacyClient),
    Modern(ModernClient),
}

impl User {
    /// A client of 2025-11-25 that can do what `capabilities` (a JSON object) says.
    pub async fn legacy(endpoint: Endpoint, capabilities: &'static str) -> Result<Self> {
        let client = LegacyClient::connect_as(endpoint.clone(), LEGACY, capabilities).await?;
        Ok(Self { endpoint, capabilities, client: Client::Legacy(client), calls: AtomicU64::new(0) })
    }

    /// The same of 2026-07-28.
    pub fn modern(endpoint: Endpoint, capabilities: &'static str) -> Self {
        let client = ModernClient::with_capabilities(endpoint.clone(), capabilities);
        Self { endpoint, capabilities, client: Client::Modern(client), calls: AtomicU64::new(0) }
    }

    /// The result of a request.
    ///
    /// # Errors
    /// The answer is an error.
    pub async fn request(&self, method: &str, params: &Value) -> Result<Value> {
        let params = params.to_string();
        let answer = match &self.client {
            Client::Legacy(client) => client.request(method, &params).await,
            Client::Modern(client) => client.request(method, &params).await,
        };
        answer.and_then(|answer| answer.result_value()).with_context(|| format!("{method} {params}"))
    }

    /// The entries of a list that has one page.
    pub async fn list(&self, method: &str, key: &str) -> Result<Vec<Value>> {
        let mut result = self.request(method, &json!({})).await?;
        ensure!(result.get("nextCursor").is_none(), "{method} has more pages: {result}");
        match result[key].take() {
            Value::Array(entries) => Ok(entries),
            other => bail!("{method} lists {other}"),
        }
    }

    /// Calls a tool and accepts what it asks, with the default values of forms.
    /// `between`, a tool without arguments, is called before each answer.
    ///
    /// # Errors
    /// The call or one of those between failed.
    pub async fn call(&self, tool: &Value, arguments: Value, between: Option<&Value>) -> Result<Value> {
        let headers = headers_for(tool, &arguments);
        let params = json!({ "name": tool["name"], "arguments": arguments });
        let result = match &self.client {
            Client::Legacy(client) => self.call_in_session(client, &params, between).await,
            Client::Modern(_) => self.call_in_rounds(&headers, params.clone(), between).await,
        };
        let result = result.with_context(|| format!("tools/call {params}"))?;
        ensure!(result["isError"] != true, "{params}: {result}");
        Ok(result)
    }

    /// The server asks by requests on the stream of the call.
    async fn call_in_session(
        &self,
        client: &LegacyClient,
        params: &Value,
        between: Option<&Value>,
    ) -> Result<Value> {
        let id = format!("\"call-{}\"", self.calls.fetch_add(1, Ordering::Relaxed));
        let mut stream = client.open(&id, "tools/call", &params.to_string()).await?;
        if !stream.is_event_stream() {
            return result_of(stream.whole().await?.json()?);
        }
        loop {
            let message = next(&mut stream).await?;
            let Some(method) = message["method"].as_str() else { return result_of(message) };
            if message["id"].is_null() {
                continue;
            }
            self.unrelated(between).await?;
            let answer = json!({
                "jsonrpc": "2.0",
                "id": message["id"],
                "result": answer_to(method, &message["params"])?,
            });
            client.post(answer.to_string()).await?.expect_status(202)?;
        }
    }

    /// The server asks by results, and the call is repeated with the answers.
    async fn call_in_rounds(
        &self,
        headers: &[(String, String)],
        mut params: Value,
        between: Option<&Value>,
    ) -> Result<Value> {
        let endpoint =
            headers.iter().fold(self.endpoint.clone(), |all, (name, value)| all.with_header(name, value));
        let client = ModernClient::with_capabilities(endpoint, self.capabilities);
        for round in 0..ROUNDS {
            let answer =
                client.request_as(&format!("\"round-{round}\""), "tools/call", &params.to_string()).await?;
            let mut result = answer.result_value()?;
            if result["resultType"] != "input_required" {
                return Ok(result);
            }
            self.unrelated(between).await?;
            let mut responses = Map::new();
            for (key, question) in result["inputRequests"].as_object().into_iter().flatten() {
                let method = question["method"].as_str().context("a question without a method")?;
                responses.insert(key.clone(), answer_to(method, &question["params"])?);
            }
            params["inputResponses"] = responses.into();
            match result["requestState"].take() {
                Value::Null => params.as_object_mut().and_then(|params| params.remove("requestState")),
                state => {
                    params.as_object_mut().and_then(|params| params.insert("requestState".to_owned(), state))
                }
            };
        }
        bail!("it still asks after {ROUNDS} rounds")
    }

    async fn unrelated(&self, between: Option<&Value>) -> Result<()> {
        if let Some(tool) = between {
            self.request("tools/call", &json!({ "name": tool["name"], "arguments": {} })).await?;
        }
        Ok(())
    }
}

async fn next(stream: &mut Streaming) -> Result<Value> {
    let event = stream.event().await?.context("the stream ended before the answer")?;
    Ok(serde_json::from_str(&event.data)?)
}

fn result_of(mut message: Value) -> Result<Value> {
    match message["result"].take() {
        Value::Null => bail!("no result: {message}"),
        result => Ok(result),
    }
}

/// What the person at this client would answer.
fn answer_to(method: &str, params: &Value) -> Result<Value> {
    Ok(match method {
        "elicitation/create" if params["mode"] == "url" => json!({ "action": "accept" }),
        "elicitation/create" => {
            json!({ "action": "accept", "content": filled_in(&params["requestedSchema"]) })
        }
        "sampling/createMessage" => {
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "said" } })
        }
        "roots/list" => json!({ "roots": [] }),
        other => bail!("asked for {other}"),
    })
}

/// A form with its default values.
fn filled_in(schema: &Value) -> Value {
    let field = |schema: &Value| match (schema.get("default"), schema["type"].as_str()) {
        (Some(default), _) => default.clone(),
        (None, Some("boolean")) => json!(true),
        (None, Some("number" | "integer")) => json!(1),
        (None, _) => json!("text"),
    };
    let fields = schema["properties"].as_object();
    fields.into_iter().flatten().map(|(name, schema)| (name.clone(), field(schema))).collect()
}

/// The `Mcp-Param-*` headers of a call (2026-07-28, basic/transports/streamable-http).
fn headers_for(tool: &Value, arguments: &Value) -> Vec<(String, String)> {
    let properties = tool["inputSchema"]["properties"].as_object();
    let header = |(name, schema): (&String, &Value)| {
        let text = match &arguments[name] {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((format!("mcp-param-{}", schema[HEADER].as_str()?), encoded(&text)))
    };
    properties.into_iter().flatten().filter_map(header).collect()
}

/// As it is where that is safe, else in Base64.
fn encoded(text: &str) -> String {
    let plain = text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if plain { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) }
}
