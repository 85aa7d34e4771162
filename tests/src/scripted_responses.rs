//! A scripted Responses API: it makes a client call the tools of a plan, one
//! after the other, and then says that it is done.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Json, State};
use axum::response::Response;
use axum::routing::{any, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::scripted_messages::{DONE, event_stream};

/// A call that the model asks for.
#[derive(Debug, Clone)]
pub struct PlannedFunction {
    /// The group of tools that the client offered it in, such as `mcp__hub`.
    pub namespace: Option<String>,
    pub name: String,
    pub arguments: Value,
}

/// The running API; it ends when this is dropped.
#[derive(Debug)]
pub struct ScriptedResponses {
    /// For `base_url`, with the version.
    pub url: String,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Script {
    plan: Vec<PlannedFunction>,
    requests: Mutex<Vec<Value>>,
}

impl ScriptedResponses {
    pub async fn start(plan: Vec<PlannedFunction>) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let script = Arc::new(Script { plan, requests: Mutex::default() });
        let router = Router::new()
            .route("/v1/responses", post(responses))
            .fallback(any(|| async { Json(json!({ "object": "list", "data": [] })) }))
            .with_state(Arc::clone(&script));
        let task = tokio::spawn(async move {
            // Serving ends with the test; a failure shows as refused connections there.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, script, task })
    }

    /// The requests for a response so far.
    pub fn requests(&self) -> Vec<Value> {
        self.script.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the functions of the plan gave, as the client reported it.
    pub fn outputs(&self) -> Vec<Value> {
        self.requests().last().map(outputs_in).unwrap_or_default()
    }
}

impl Drop for ScriptedResponses {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn outputs_in(request: &Value) -> Vec<Value> {
    let items = request["input"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter(|item| item["type"] == "function_call_output").collect()
}

async fn responses(State(script): State<Arc<Script>>, Json(request): Json<Value>) -> Response {
    let step = outputs_in(&request).len();
    let item = match script.plan.get(step) {
        Some(call) => function_call(step, call),
        None => json!({
            "type": "message",
            "id": "msg_0001",
            "role": "assistant",
            "content": [{ "type": "output_text", "text": DONE }],
        }),
    };
    script.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let id = format!("resp_{step:04}");
    let usage = json!({
        "input_tokens": 10,
        "input_tokens_details": null,
        "output_tokens": 10,
        "output_tokens_details": null,
        "total_tokens": 20,
    });
    event_stream(&[
        json!({ "type": "response.created", "response": { "id": id } }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": { "id": id, "usage": usage } }),
    ])
}

fn function_call(step: usize, call: &PlannedFunction) -> Value {
    let mut item = json!({
        "type": "function_call",
        "id": format!("fc_{step:04}"),
        "call_id": format!("call_{step:04}"),
        "name": call.name,
        "arguments": call.arguments.to_string(),
    });
    if let Some(namespace) = &call.namespace {
        item["namespace"] = namespace.as_str().into();
    }
    item
}
