//! The tools: each shows one thing that a tool can do.

use serde_json::{Map, Value, json};
use trunkline_model::Clock;

use super::message::RpcError;
use super::slow_count::SlowCount;

/// What calling a tool comes to.
#[derive(Debug)]
pub(super) enum Called {
    /// A `CallToolResult`, at once.
    Result(Value),
    /// Work that takes its time.
    Slow(SlowCount),
}

/// The `tools` of `tools/list`.
pub(super) fn list() -> Value {
    json!([echo(), add(), now(), slow_count(), fail()])
}

/// Calls a tool.
///
/// Wrong arguments are an `isError` result, which a model can read and mend
/// (revision 2025-11-25, SEP-1303).
///
/// # Errors
/// No such tool, or `params` without a name.
pub(super) fn call(params: &Map<String, Value>, clock: &dyn Clock) -> Result<Called, RpcError> {
    let name = params
        .get("name")
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params("params.name must be the name of a tool"))?;
    let nothing = Map::new();
    let arguments = match params.get("arguments") {
        None => &nothing,
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(RpcError::invalid_params("params.arguments must be an object")),
    };
    let called = match name {
        "echo" => call_echo(arguments),
        "add" => call_add(arguments),
        "now" => Ok(Called::Result(structured(json!({ "now": clock.now().to_string() })))),
        "slow_count" => SlowCount::from_arguments(arguments).map(Called::Slow),
        "fail" => Err(call_fail(arguments)),
        _ => {
            return Err(RpcError::invalid_params(format!(
                "Unknown tool: {name}. The sample server has echo, add, now, slow_count and fail."
            )));
        }
    };
    Ok(called.unwrap_or_else(|reason| Called::Result(failed(&reason))))
}

fn echo() -> Value {
    json!({
        "name": "echo",
        "title": "Echo",
        "description": "Gives the text back unchanged. The quickest way to see that a call goes \
                        from your client through the hub to a server and back.",
        "inputSchema": {
            "type": "object",
            "properties": { "text": { "type": "string", "description": "What to say back." } },
            "required": ["text"],
            "additionalProperties": false
        },
        "annotations": harmless()
    })
}

fn call_echo(arguments: &Map<String, Value>) -> Result<Called, String> {
    match arguments.get("text") {
        Some(Value::String(said)) => Ok(Called::Result(text(said))),
        _ => Err("echo needs \"text\", a string".to_owned()),
    }
}

fn add() -> Value {
    json!({
        "name": "add",
        "title": "Add two numbers",
        "description": "Adds two numbers. Its answer is structured: it follows the tool's output schema, \
                        with the same JSON as text beside it for older clients.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "a": { "type": "number", "description": "The first number." },
                "b": { "type": "number", "description": "The second number." }
            },
            "required": ["a", "b"],
            "additionalProperties": false
        },
        "outputSchema": {
            "type": "object",
            "properties": { "sum": { "type": "number", "description": "a + b" } },
            "required": ["sum"]
        },
        "annotations": harmless()
    })
}

fn call_add(arguments: &Map<String, Value>) -> Result<Called, String> {
    let number = |key| arguments.get(key).filter(|value| value.is_number());
    let (Some(a), Some(b)) = (number("a"), number("b")) else {
        return Err("add needs \"a\" and \"b\", both numbers".to_owned());
    };
    let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b));
    let sum = match whole {
        Some(sum) => json!(sum),
        None => a
            .as_f64()
            .zip(b.as_f64())
            .map(|(a, b)| a + b)
            .filter(|sum| sum.is_finite())
            .map(|sum| json!(sum))
            .ok_or("the sum is too large for a number in JSON")?,
    };
    Ok(Called::Result(structured(json!({ "sum": sum }))))
}

fn now() -> Value {
    json!({
        "name": "now",
        "title": "Current time",
        "description": "Tells the time of the machine that the sample server runs on, in UTC (RFC 3339).",
        "inputSchema": { "type": "object", "properties": {}, "additionalProperties": false },
        "outputSchema": {
            "type": "object",
            "properties": { "now": { "type": "string", "format": "date-time" } },
            "required": ["now"]
        },
        "annotations": {
            "readOnlyHint": true, "destructiveHint": false, "idempotentHint": false, "openWorldHint": false
        }
    })
}

fn slow_count() -> Value {
    json!({
        "name": "slow_count",
        "title": "Count slowly",
        "description": "Counts to a number with a pause before each step, and reports progress as it goes. \
                        Cancel it, or call another tool meanwhile, to see that neither disturbs the other.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "to": {
                    "type": "integer", "minimum": 1, "maximum": SlowCount::HIGHEST,
                    "description": "The last number."
                },
                "delay_ms": {
                    "type": "integer", "minimum": 0, "maximum": SlowCount::LONGEST_DELAY_MS,
                    "default": SlowCount::DEFAULT_DELAY_MS,
                    "description": "The pause before each number, in milliseconds."
                }
            },
            "required": ["to"],
            "additionalProperties": false
        },
        "annotations": harmless()
    })
}

fn fail() -> Value {
    json!({
        "name": "fail",
        "title": "Fail",
        "description": "Always fails, with a result that says so (isError). Shows how a tool's failure \
                        looks in your client and in the hub's audit trail.",
        "inputSchema": {
            "type": "object",
            "properties": { "message": { "type": "string", "description": "What the failure should say." } },
            "additionalProperties": false
        },
        "annotations": harmless()
    })
}

fn call_fail(arguments: &Map<String, Value>) -> String {
    match arguments.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => "This tool always fails; nothing is broken.".to_owned(),
    }
}

fn harmless() -> Value {
    json!({ "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false })
}

/// A result of one text.
pub(super) fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": false })
}

fn structured(content: Value) -> Value {
    let mut result = text(&content.to_string());
    if let Some(fields) = result.as_object_mut() {
        fields.insert("structuredContent".to_owned(), content);
    }
    result
}

fn failed(reason: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": reason }], "isError": true })
}
