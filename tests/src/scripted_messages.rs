//! A scripted Messages API: it makes a client call the tools of a plan, one
//! after the other, and then says that it is done.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Json, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the model says when its plan is done.
pub const DONE: &str = "The plan is done.";

/// A call that the model asks for.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// The tool as the client names it to the model.
    pub tool: String,
    pub arguments: Value,
}

/// The running API; it ends when this is dropped.
#[derive(Debug)]
pub struct ScriptedMessages {
    /// For `ANTHROPIC_BASE_URL`.
    pub url: String,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Script {
    plan: Vec<PlannedCall>,
    requests: Mutex<Vec<Value>>,
}

impl ScriptedMessages {
    pub async fn start(plan: Vec<PlannedCall>) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let script = Arc::new(Script { plan, requests: Mutex::default() });
        let router = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .fallback(any(|| async { Json(json!({})) }))
            .with_state(Arc::clone(&script));
        let task = tokio::spawn(async move {
            // Serving ends with the test; a failure shows as refused connections there.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, script, task })
    }

    /// The requests for messages so far.
    pub fn requests(&self) -> Vec<Value> {
        self.script.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of the tools that the client offered in its latest request.
    pub fn offered_tools(&self) -> Vec<String> {
        let requests = self.requests();
        let tools = requests.last().and_then(|request| request["tools"].as_array().cloned());
        let names = tools.unwrap_or_default();
        names.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
    }

    /// The results of tools that the client has sent, in the order of the plan.
    pub fn tool_results(&self) -> Vec<Value> {
        self.requests().last().map(results_in).unwrap_or_default()
    }
}

impl Drop for ScriptedMessages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The blocks of type `tool_result` in all messages of a request.
fn results_in(request: &Value) -> Vec<Value> {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let blocks = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
    blocks.filter(|block| block["type"] == "tool_result").cloned().collect()
}

async fn count_tokens() -> Json<Value> {
    Json(json!({ "input_tokens": 10 }))
}

async fn messages(State(script): State<Arc<Script>>, Json(request): Json<Value>) -> Response {
    let step = results_in(&request).len();
    let block = match script.plan.get(step) {
        Some(call) => json!({
            "type": "tool_use",
            "id": format!("toolu_{step:04}"),
            "name": call.tool,
            "input": call.arguments,
        }),
        None => json!({ "type": "text", "text": DONE }),
    };
    let streams = request["stream"] == true;
    let model = request["model"].clone();
    script.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let stop = if block["type"] == "tool_use" { "tool_use" } else { "end_turn" };
    if streams {
        stream_of(&block, stop, &model)
    } else {
        Json(message(&[block], Some(stop), &model)).into_response()
    }
}

fn message(content: &[Value], stop: Option<&str>, model: &Value) -> Value {
    json!({
        "id": "msg_0001",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 10 },
    })
}

/// The events of one message with one content block.
fn stream_of(block: &Value, stop: &str, model: &Value) -> Response {
    let (start, delta) = if block["type"] == "tool_use" {
        let mut start = block.clone();
        start["input"] = json!({});
        (start, json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() }))
    } else {
        (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": block["text"] }))
    };
    let events = [
        json!({ "type": "message_start", "message": message(&[], None, model) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": start }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta",
            "delta": { "stop_reason": stop, "stop_sequence": null },
            "usage": { "output_tokens": 10 },
        }),
        json!({ "type": "message_stop" }),
    ];
    event_stream(&events)
}

/// Events that are named by their `type`.
pub(crate) fn event_stream(events: &[Value]) -> Response {
    let body = events.iter().fold(String::new(), |body, event| {
        body + &format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    });
    ([("content-type", "text/event-stream")], body).into_response()
}
