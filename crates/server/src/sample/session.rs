//! One client: what it asked, in which era, and what still runs for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::task::{AbortHandle, JoinSet};
use trunkline_model::Clock;

use super::message::{
    BUSY, Context, Era, INVALID_REQUEST, Incoming, LEGACY_VERSIONS, Level, METHOD_NOT_FOUND, MODERN_VERSIONS,
    Notification, Request, RpcError, missing_metadata,
};
use super::tools::Called;
use super::{prompts, resources, tools};
use crate::json_lines::Outbox;

/// Requests that may run at once.
const MOST_RUNNING: usize = 64;

/// How long a client may keep a list, in milliseconds: it never changes while the process lives.
const TTL_MS: u64 = 3_600_000;

const INSTRUCTIONS: &str = "Trunkline's sample server: tools to try the hub with. Call echo for a first \
                            answer, add for a structured one, slow_count for progress and cancellation.";

/// The way to the client, shared with the work that runs for it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    outbox: Outbox,
    /// Set by `logging/setLevel`; nothing is logged to the client before.
    log_level: Arc<Mutex<Option<Level>>>,
}

impl Client {
    /// A client that is gone needs no answer, so a failure to send is nothing.
    async fn send(&self, message: &Value) {
        let _ = self.outbox.send(message.to_string().into_bytes()).await;
    }

    pub(super) async fn notify(&self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Tells the client of `data` if it asked for messages of that level.
    pub(super) async fn log(&self, context: &Context, level: Level, data: &Value) {
        let wanted = match context.era {
            Era::Modern => context.log_level,
            Era::Legacy => *self.log_level.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if wanted.is_some_and(|wanted| level >= wanted) {
            let params = json!({ "level": level.name(), "logger": "sample", "data": data });
            self.notify("notifications/message", &params).await;
        }
    }

    async fn answer(&self, id: &Value, outcome: Result<Value, RpcError>) {
        let message = match outcome {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => error.to_message(id),
        };
        self.send(&message).await;
    }
}

/// One client's state.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    clock: Arc<dyn Clock>,
    initialized: bool,
    running: JoinSet<()>,
    /// What `notifications/cancelled` may end, by request id.
    cancellable: HashMap<Value, AbortHandle>,
}

impl Session {
    pub(super) fn new(outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        Self {
            client: Client { outbox, log_level: Arc::default() },
            clock,
            initialized: false,
            running: JoinSet::new(),
            cancellable: HashMap::new(),
        }
    }

    pub(super) async fn refuse_long_line(&self) {
        let error = RpcError::new(INVALID_REQUEST, "the message is too long for the sample server");
        self.client.answer(&Value::Null, Err(error)).await;
    }

    /// Takes one line from the client.
    pub(super) async fn receive(&mut self, line: &[u8]) {
        self.forget_finished();
        match Incoming::parse(line) {
            Incoming::Request(request) => self.request(request).await,
            Incoming::Notification(notification) => self.notification(&notification),
            Incoming::Response => {}
            Incoming::Malformed(id, error) => self.client.answer(&id, Err(error)).await,
        }
    }

    fn forget_finished(&mut self) {
        while self.running.try_join_next().is_some() {}
        self.cancellable.retain(|_, handle| !handle.is_finished());
    }

    fn notification(&mut self, notification: &Notification) {
        if notification.method == "notifications/cancelled"
            && let Some(id) = notification.params.get("requestId")
            && let Some(handle) = self.cancellable.remove(id)
        {
            handle.abort();
        }
    }

    async fn request(&mut self, request: Request) {
        let context = match Context::of(&request.params) {
            Ok(context) => context,
            Err(error) => return self.client.answer(&request.id, Err(error)).await,
        };
        let outcome = match (context.era, request.method.as_str()) {
            (Era::Legacy, "initialize") => Ok(self.initialize(&request.params)),
            (Era::Legacy, "ping") => Ok(json!({})),
            (Era::Legacy, "server/discover" | "subscriptions/listen") => Err(missing_metadata()),
            (Era::Legacy, _) if !self.initialized => Err(not_initialized()),
            (Era::Legacy, "logging/setLevel") => self.set_level(&request.params),
            (Era::Modern, "server/discover") => Ok(discover()),
            (Era::Modern, "subscriptions/listen") => return self.listen(request).await,
            (_, "tools/call") => return self.call_tool(request, context).await,
            (_, method) => answer_from_catalogue(method, &request.params, context.era),
        };
        let outcome = outcome.map(|result| in_era(context.era, result));
        self.client.answer(&request.id, outcome).await;
    }

    fn initialize(&mut self, params: &Map<String, Value>) -> Value {
        self.initialized = true;
        let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let version =
            LEGACY_VERSIONS.iter().find(|version| **version == asked).unwrap_or(&LEGACY_VERSIONS[0]);
        json!({
            "protocolVersion": version,
            "capabilities": capabilities(),
            "serverInfo": server_info(),
            "instructions": INSTRUCTIONS
        })
    }

    fn set_level(&self, params: &Map<String, Value>) -> Result<Value, RpcError> {
        let level = params.get("level").and_then(Value::as_str).and_then(Level::parse);
        let level = level.ok_or_else(|| {
            RpcError::invalid_params(
                "params.level must be one of debug, info, notice, warning, error, critical, alert, emergency",
            )
        })?;
        *self.client.log_level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
        Ok(json!({}))
    }

    async fn call_tool(&mut self, request: Request, context: Context) {
        let called = tools::call(&request.params, self.clock.as_ref());
        let outcome = match called {
            Ok(Called::Slow(count)) => {
                let client = self.client.clone();
                let id = request.id.clone();
                return self
                    .start(request.id, async move {
                        let result = count.run(&client, &context).await;
                        client.answer(&id, Ok(in_era(context.era, result))).await;
                    })
                    .await;
            }
            Ok(Called::Result(result)) => {
                if result["isError"] == Value::Bool(true) {
                    self.client.log(&context, Level::Error, &result["content"][0]["text"]).await;
                }
                Ok(in_era(context.era, result))
            }
            Err(error) => Err(error),
        };
        self.client.answer(&request.id, outcome).await;
    }

    /// Nothing here ever changes, so nothing is subscribed to: the stream is
    /// acknowledged at once and stays quiet until the client cancels it.
    async fn listen(&mut self, request: Request) {
        let client = self.client.clone();
        let id = request.id.clone();
        let subscription = async move {
            let params = json!({
                "notifications": {},
                "_meta": { "io.modelcontextprotocol/subscriptionId": id }
            });
            client.notify("notifications/subscriptions/acknowledged", &params).await;
            std::future::pending::<()>().await;
        };
        self.start(request.id, subscription).await;
    }

    async fn start(&mut self, id: Value, work: impl Future<Output = ()> + Send + 'static) {
        if self.running.len() >= MOST_RUNNING {
            let message = format!("the sample server runs at most {MOST_RUNNING} slow requests at once");
            return self.client.answer(&id, Err(RpcError::new(BUSY, message))).await;
        }
        if self.cancellable.contains_key(&id) {
            let error = RpcError::new(INVALID_REQUEST, "a request with this id is still running");
            return self.client.answer(&id, Err(error)).await;
        }
        let handle = self.running.spawn(work);
        self.cancellable.insert(id, handle);
    }
}

/// What both eras ask alike and what never changes.
fn answer_from_catalogue(method: &str, params: &Map<String, Value>, era: Era) -> Result<Value, RpcError> {
    match method {
        "tools/list" => page(params, "tools", tools::list()),
        "prompts/list" => page(params, "prompts", prompts::list()),
        "resources/list" => page(params, "resources", resources::list()),
        "resources/templates/list" => page(params, "resourceTemplates", resources::templates()),
        "prompts/get" => prompts::get(params),
        "resources/read" => resources::read(params, era).map(|result| cacheable(result, era)),
        "completion/complete" => prompts::complete(params),
        _ => Err(RpcError::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))),
    }
    .map(|result| if method.ends_with("/list") { cacheable(result, era) } else { result })
}

/// Every list fits on one page, so no cursor was ever given out.
fn page(params: &Map<String, Value>, key: &str, items: Value) -> Result<Value, RpcError> {
    match params.get("cursor") {
        None | Some(Value::Null) => Ok(Value::from_iter([(key, items)])),
        Some(_) => Err(RpcError::invalid_params("Invalid cursor: this list has one page")),
    }
}

fn not_initialized() -> RpcError {
    RpcError::new(
        INVALID_REQUEST,
        format!(
            "send initialize first, or the metadata of protocol version {} with each request",
            MODERN_VERSIONS[0]
        ),
    )
}

fn discover() -> Value {
    let result = json!({
        "supportedVersions": MODERN_VERSIONS,
        "capabilities": capabilities(),
        "instructions": INSTRUCTIONS
    });
    cacheable(result, Era::Modern)
}

fn capabilities() -> Value {
    json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {} })
}

fn server_info() -> Value {
    json!({
        "name": "trunkline-sample",
        "title": "Trunkline sample server",
        "version": env!("CARGO_PKG_VERSION")
    })
}

/// Revision 2026-07-28 wants to know how long a result keeps and for whom.
fn cacheable(mut result: Value, era: Era) -> Value {
    if let (Era::Modern, Some(fields)) = (era, result.as_object_mut()) {
        fields.insert("ttlMs".to_owned(), TTL_MS.into());
        fields.insert("cacheScope".to_owned(), "public".into());
    }
    result
}

/// Revision 2026-07-28 wants every result to say what it is and who made it.
fn in_era(era: Era, mut result: Value) -> Value {
    if let (Era::Modern, Some(fields)) = (era, result.as_object_mut()) {
        fields.insert("resultType".to_owned(), "complete".into());
        fields.insert("_meta".to_owned(), json!({ "io.modelcontextprotocol/serverInfo": server_info() }));
    }
    result
}
