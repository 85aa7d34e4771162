//! A hub with an honest server behind it, a caller in good standing, and
//! what must hold for each request that is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Method;
use serde_json::Value;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::{Endpoint, Streaming};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::{self, MODERN};
use trunkline_tests::raw::{self, RawRequest, RawResponse};
use trunkline_tests::scripted::{Script, ScriptedServer};

/// The largest body that the hub of [`Stage`] takes, in bytes.
pub(super) const LARGEST: usize = 300_000;

/// What a modern request says of itself at the least, as a member of its
/// parameters.
pub(super) const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

pub(super) struct Stage {
    pub(super) hub: TestHub,
    pub(super) server: ScriptedServer,
    /// Of the profile `red`.
    pub(super) key: String,
    /// Of the profile `blue`.
    pub(super) other_key: String,
    /// A session of `key`.
    pub(super) session: String,
}

/// What a refused request is answered with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// A JSON-RPC error for `id`, which is `null` where it could not be read.
    /// A message that ends with `…` is the beginning of the real one.
    Rpc { status: u16, id: &'static str, code: i64, message: &'static str },
    /// `application/problem+json`, from a layer that knows no JSON-RPC.
    Problem { status: u16, title: &'static str },
    /// HTTP itself is broken: a status without a body.
    Transport { status: u16 },
}

/// One hostile request and the answer it must get.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) request: RawRequest,
    pub(super) refusal: Refusal,
}

/// A JSON-RPC error for a request that could not be read.
pub(super) const fn unread(status: u16, code: i64, message: &'static str) -> Refusal {
    Refusal::Rpc { status, id: "null", code, message }
}

/// A JSON-RPC error for the request `1`.
pub(super) const fn refused(status: u16, code: i64, message: &'static str) -> Refusal {
    Refusal::Rpc { status, id: "1", code, message }
}

impl Stage {
    pub(super) async fn set() -> Result<Self> {
        let server = ScriptedServer::start(Script::new("scripted", 2)).await?;
        let hub = TestHub::start(&format!(
            "limits: {{ request_bytes: {LARGEST} }}\nservers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
             red: {{ auth: api_key, servers: {{ scripted: {{}} }} }}\n  \
             blue: {{ auth: api_key, servers: {{ scripted: {{}} }} }}\n  \
             signin: {{ auth: oauth, servers: {{ scripted: {{}} }} }}\n  \
             open: {{ auth: none, servers: {{ scripted: {{}} }} }}\n",
            server.url
        ))
        .await?;
        let (key, other_key) = (hub.create_key("red").await?, hub.create_key("blue").await?);
        let client = LegacyClient::connect(hub.endpoint("red").with_key(&key)).await?;
        for list in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
            client.request(list, "{}").await?.result()?;
        }
        let warm = client.request("tools/call", &call_params("scripted__tool_000", "{}")).await?;
        warm.result()?;
        let session = client.session().context("no session")?.to_owned();
        let stage = Self { hub, server, key, other_key, session };
        // The hub as itself, and as the caller: after that the server is asked no more.
        let asked = |method| stage.server.received_of(method) == 2;
        until(|| asked("tools/list") && asked("subscriptions/listen")).await?;
        Ok(stage)
    }

    /// `HOST:PORT` of the hub.
    pub(super) fn address(&self) -> &str {
        self.hub.base().trim_start_matches("http://")
    }

    /// A POST with all that a legacy client in good standing sends, but a body.
    pub(super) fn request(&self) -> RawRequest {
        RawRequest::new("POST", "/mcp/red")
            .with("Host", self.address())
            .with("Authorization", format!("Bearer {}", self.key))
            .with("Content-Type", "application/json")
            .with("Accept", "application/json, text/event-stream")
            .with("Mcp-Session-Id", &self.session)
    }

    /// A call that is good in every way.
    pub(super) fn call(&self) -> RawRequest {
        self.request().body(call("scripted__tool_000", r#"{"text":"x"}"#))
    }

    pub(super) async fn send(&self, request: &RawRequest) -> Result<RawResponse> {
        raw::exchange(self.address(), request).await
    }

    /// Fails unless this request is answered with a result: what the rows
    /// change about it is then what they are refused for.
    pub(super) async fn accepts(&self, request: &RawRequest) -> Result<RawResponse> {
        let response = self.send(request).await?;
        if response.status != 200 || response.json()?.get("result").is_none() {
            bail!("{} {}", response.status, response.text());
        }
        Ok(response)
    }

    /// Sends every row: each must be refused as it says, without a word to
    /// the server, and be in the trail once.
    pub(super) async fn refuses(&self, rows: Vec<Row>) -> Result<()> {
        refused_by(&self.hub, || self.server.requests(), rows).await
    }

    /// Fails unless each of these request ids is in the trail once, as refused.
    pub(super) async fn recorded(&self, refused: &BTreeMap<String, String>) -> Result<()> {
        recorded_by(&self.hub, refused).await
    }

    /// Every way to post a message to the profile `red`, each with all that a
    /// client in good standing sends, but a body.
    pub(super) async fn doors(&self) -> Result<Doors> {
        let stream = OldStream::open(self.hub.endpoint("red").with_key(&self.key)).await?;
        let modern = self
            .request()
            .without("Mcp-Session-Id")
            .with("MCP-Protocol-Version", MODERN)
            .with("Mcp-Method", "tools/call")
            .with("Mcp-Name", "scripted__tool_000");
        let old = self.request().without("Mcp-Session-Id").aimed("POST", &stream.address);
        let requests = vec![("a session", self.request()), ("no session", modern), ("an old stream", old)];
        Ok(Doors { requests, stream })
    }
}

/// The ways to post a message.
pub(super) struct Doors {
    pub(super) requests: Vec<(&'static str, RawRequest)>,
    /// What answers to messages of the old transport come on.
    pub(super) stream: OldStream,
}

impl Doors {
    /// A call at every door, the stream of the old transport kept open.
    pub(super) fn calls(&self) -> Vec<(&'static str, RawRequest)> {
        let params = format!(r#"{{"name":"scripted__tool_000","arguments":{{}},{META}}}"#);
        let call = |(door, request): &(&'static str, RawRequest)| {
            (*door, request.clone().body(message::request("1", "tools/call", &params)))
        };
        self.requests.iter().map(call).collect()
    }

    /// The same body at every door.
    pub(super) fn rows(&self, name: &str, body: &[u8], refusal: Refusal) -> Vec<Row> {
        let at = |(door, request): &(&str, RawRequest)| Row {
            name: format!("{name}, at the door {door}"),
            request: request.clone().body(body),
            refusal,
        };
        self.requests.iter().map(at).collect()
    }
}

/// A stream of the HTTP+SSE transport.
pub(super) struct OldStream {
    pub(super) stream: Streaming,
    /// Where to post to: a path with a query.
    pub(super) address: String,
}

impl OldStream {
    /// Opens the stream of the profile at `endpoint`.
    pub(super) async fn open(endpoint: Endpoint) -> Result<Self> {
        let endpoint = endpoint.at(&format!("{}/sse", endpoint.url()));
        let mut stream =
            endpoint.send(Method::GET, String::new(), &[("accept", "text/event-stream")]).await?;
        let first = stream.event().await?.context("no endpoint")?;
        anyhow::ensure!(first.name == "endpoint", "{first:?}");
        Ok(Self { stream, address: first.data })
    }

    /// The next message.
    pub(super) async fn message(&mut self) -> Result<Value> {
        let event = self.stream.event().await?.context("the stream ended")?;
        Ok(serde_json::from_str(&event.data)?)
    }
}

/// Sends every row to a hub before whose servers `requests` counts what
/// reaches them; see [`Stage::refuses`].
pub(super) async fn refused_by(hub: &TestHub, requests: impl Fn() -> u64, rows: Vec<Row>) -> Result<()> {
    let address = hub.base().trim_start_matches("http://");
    let known = requests();
    let mut audited = BTreeMap::new();
    for Row { name, request, refusal } in rows {
        let response = raw::exchange(address, &request).await.with_context(|| name.clone())?;
        check(&request, &response, refusal).with_context(|| name.clone())?;
        anyhow::ensure!(requests() == known, "{name}: it reached a server");
        if let Refusal::Rpc { .. } | Refusal::Problem { status: 400 | 403, .. } = refusal {
            let id = response.header("x-request-id").with_context(|| name.clone())?;
            audited.insert(id.to_owned(), name);
        }
    }
    recorded_by(hub, &audited).await
}

async fn recorded_by(hub: &TestHub, refused: &BTreeMap<String, String>) -> Result<()> {
    let trail = hub.cli(&["audit", "export", "--json"]).await?;
    let mut missing = refused.clone();
    for line in trail.lines().filter(|line| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line)?;
        let event = &line["event"];
        let id = event["request_id"].as_str().unwrap_or_default();
        let Some(name) = refused.get(id) else { continue };
        let denied = event["decision"]["effect"] == "deny" && event["outcome"]["is"] == "refused";
        anyhow::ensure!(denied, "{name}: {event}");
        anyhow::ensure!(missing.remove(id).is_some(), "{name} is in the trail twice");
    }
    anyhow::ensure!(missing.is_empty(), "not in the trail: {:?}", missing.values());
    Ok(())
}

fn check(request: &RawRequest, response: &RawResponse, refusal: Refusal) -> Result<()> {
    let shown = || format!("{} {:?} {}", response.status, response.headers, response.text());
    let (Refusal::Rpc { status, .. } | Refusal::Problem { status, .. } | Refusal::Transport { status }) =
        refusal;
    anyhow::ensure!(response.status == status, "{}", shown());
    anyhow::ensure!(response.header("mcp-session-id").is_none(), "{}", shown());
    match refusal {
        _ if request.method == "HEAD" => {}
        Refusal::Rpc { id, code, message, .. } => {
            anyhow::ensure!(response.header("content-type") == Some("application/json"), "{}", shown());
            let body = response.json()?;
            let id: Value = serde_json::from_str(id)?;
            anyhow::ensure!(body["jsonrpc"] == "2.0" && body["id"] == id, "{}", shown());
            anyhow::ensure!(body.get("result").is_none() && body["error"]["code"] == code, "{}", shown());
            let said = body["error"]["message"].as_str().unwrap_or_default();
            let right = match message.strip_suffix('…') {
                Some(beginning) => said.starts_with(beginning),
                None => said == message,
            };
            anyhow::ensure!(right, "{}", shown());
        }
        Refusal::Problem { title, .. } => {
            anyhow::ensure!(
                response.header("content-type") == Some("application/problem+json"),
                "{}",
                shown()
            );
            anyhow::ensure!(response.json()?["title"] == title, "{}", shown());
        }
        Refusal::Transport { .. } => anyhow::ensure!(response.body.is_empty(), "{}", shown()),
    }
    Ok(())
}

/// A legacy `tools/call` with the id `1`.
pub(super) fn call(tool: &str, arguments: &str) -> String {
    message::request("1", "tools/call", &call_params(tool, arguments))
}

/// Waits for a fact about another process, which has no event to wait for.
pub(super) async fn until(holds: impl Fn() -> bool) -> Result<()> {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.context("it does not come to be")
}

/// The same for a fact that has to be asked for.
pub(super) async fn until_async(mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.context("it does not come to be")?
}

/// Waits until the hub has asked its servers all that it asks of itself.
pub(super) async fn quiet(requests: impl Fn() -> u64) -> Result<()> {
    const QUIET: Duration = Duration::from_millis(300);
    const LOOKS: usize = 100;
    for _ in 0..LOOKS {
        let known = requests();
        tokio::time::sleep(QUIET).await;
        if requests() == known {
            return Ok(());
        }
    }
    bail!("the servers are asked again and again")
}
