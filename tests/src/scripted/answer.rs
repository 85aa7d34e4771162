//! The JSON-RPC side: what is answered to what.

use serde_json::{Value, json};

use super::Script;
use crate::message::{LEGACY, MODERN};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Whether the message carries the metadata of 2026-07-28.
pub(super) fn is_modern(message: &Value) -> bool {
    message["params"]["_meta"][VERSION_KEY].is_string()
}

pub(super) fn error(id: &Value, code: i64, text: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } }).to_string()
}

pub(super) fn unsupported_version(id: &Value, message: &Value) -> String {
    let requested = &message["params"]["protocolVersion"];
    let data = json!({ "supported": [MODERN], "requested": requested });
    let error = json!({ "code": -32022, "message": "Unsupported protocol version", "data": data });
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
}

/// The answer to a request.
pub(super) fn answer(script: &Script, tools: usize, message: &Value) -> String {
    let id = &message["id"];
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => initialize(script, params),
        "server/discover" => discover(script),
        "ping" | "logging/setLevel" => json!({}),
        "tools/list" => tool_page(script, tools, params),
        "prompts/list" => json!({ "prompts": [] }),
        "resources/list" => json!({ "resources": [] }),
        "resources/templates/list" => json!({ "resourceTemplates": [] }),
        "tools/call" => match call(script, tools, params) {
            Some(result) => result,
            None => return error(id, -32602, "Unknown tool"),
        },
        _ => return error(id, -32601, "Method not found"),
    };
    let result = if is_modern(message) { with_modern_fields(script, result) } else { result };
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

fn with_modern_fields(script: &Script, mut result: Value) -> Value {
    let cacheable = result.get("content").is_none();
    result["resultType"] = "complete".into();
    if cacheable {
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "private".into();
    }
    result["_meta"]["io.modelcontextprotocol/serverInfo"] = server_info(script);
    result
}

fn server_info(script: &Script) -> Value {
    json!({ "name": script.name, "version": "1.0.0" })
}

fn capabilities() -> Value {
    json!({ "tools": { "listChanged": true } })
}

fn initialize(script: &Script, params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or(LEGACY);
    let version = if asked == MODERN { LEGACY } else { asked };
    json!({
        "protocolVersion": version,
        "capabilities": capabilities(),
        "serverInfo": server_info(script),
    })
}

fn discover(script: &Script) -> Value {
    json!({ "supportedVersions": [MODERN], "capabilities": capabilities(), "instructions": script.name })
}

fn tool_name(number: usize) -> String {
    format!("tool_{number:03}")
}

fn tool(script: &Script, number: usize) -> Value {
    json!({
        "name": tool_name(number),
        "title": format!("Tool {number} of {}", script.name),
        "description": format!("Answers with its own name and the text it was given ({}).", script.name),
        "inputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string", "x-vendor": number } },
            "required": ["text"],
        },
        "annotations": { "readOnlyHint": true, "x-vendor-hint": "kept" },
        "x-vendor": { "number": number },
    })
}

fn tool_page(script: &Script, tools: usize, params: &Value) -> Value {
    let from = params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let to = tools.min(from + script.page);
    let entries: Vec<Value> = (from..to).map(|number| tool(script, number)).collect();
    if to < tools {
        json!({ "tools": entries, "nextCursor": to.to_string() })
    } else {
        json!({ "tools": entries })
    }
}

/// The result of a call, or none for a tool that is not there.
fn call(script: &Script, tools: usize, params: &Value) -> Option<Value> {
    let name = params["name"].as_str().unwrap_or_default();
    let number: usize = name.strip_prefix("tool_")?.parse().ok()?;
    if number >= tools {
        return None;
    }
    let text = params["arguments"]["text"].as_str().unwrap_or_default();
    let mut text = format!("{}/{name}: {text}", script.name);
    let missing = script.answer_bytes.saturating_sub(text.len());
    text.extend(std::iter::repeat_n('.', missing));
    Some(json!({ "content": [{ "type": "text", "text": text }], "x-vendor": "kept" }))
}

/// The first message on a stream that `subscriptions/listen` opened.
pub(super) fn acknowledgement(listen: &Value) -> String {
    let params = json!({
        "notifications": listen["params"]["notifications"],
        "_meta": { "io.modelcontextprotocol/subscriptionId": listen["id"] },
    });
    notification("notifications/subscriptions/acknowledged", &params)
}

/// An announcement; on a stream of `subscriptions/listen` it names that.
pub(super) fn announcement(method: &str, subscription: Option<&Value>) -> String {
    let params = match subscription {
        Some(id) => json!({ "_meta": { "io.modelcontextprotocol/subscriptionId": id } }),
        None => json!({}),
    };
    notification(method, &params)
}

fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}
