//! The prompt `greet`, and completion of arguments.

use serde_json::{Map, Value, json};

use super::message::RpcError;
use super::resources;

const NAMES: [&str; 8] = ["Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Katherine", "Margaret"];

/// The most values that one completion may hold (specification, `completion/complete`).
const MOST_VALUES: usize = 100;

/// The `prompts` of `prompts/list`.
pub(super) fn list() -> Value {
    json!([{
        "name": "greet",
        "title": "Greet somebody",
        "description": "Asks the model for a short greeting. The name is completed as you type it.",
        "arguments": [{ "name": "name", "title": "Name", "description": "Whom to greet.", "required": true }]
    }])
}

/// The `GetPromptResult` of `prompts/get`.
///
/// # Errors
/// No such prompt, or no `name` in the arguments.
pub(super) fn get(params: &Map<String, Value>) -> Result<Value, RpcError> {
    let prompt = params.get("name").and_then(Value::as_str).unwrap_or_default();
    if prompt != "greet" {
        return Err(RpcError::invalid_params(format!(
            "Unknown prompt: {prompt}. The sample server has greet."
        )));
    }
    let name = params
        .get("arguments")
        .and_then(|arguments| arguments.get("name"))
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params("greet needs the argument \"name\", a string"))?;
    Ok(json!({
        "description": "A greeting",
        "messages": [{
            "role": "user",
            "content": { "type": "text", "text": format!("Greet {name} warmly, in one sentence.") }
        }]
    }))
}

/// The `CompleteResult` of `completion/complete`.
///
/// # Errors
/// A reference or an argument that does not exist.
pub(super) fn complete(params: &Map<String, Value>) -> Result<Value, RpcError> {
    let text = |outer: &str, inner: &str| {
        params.get(outer).and_then(|value| value.get(inner)).and_then(Value::as_str).unwrap_or_default()
    };
    let subject = match text("ref", "type") {
        "ref/prompt" => text("ref", "name"),
        "ref/resource" => text("ref", "uri"),
        _ => return Err(RpcError::invalid_params("params.ref.type must be ref/prompt or ref/resource")),
    };
    let candidates: Vec<&str> = match (subject, text("argument", "name")) {
        ("greet", "name") => NAMES.to_vec(),
        (resources::NOTE_TEMPLATE, "id") => resources::note_ids().collect(),
        (_, argument) => {
            return Err(RpcError::invalid_params(format!(
                "nothing to complete: {subject:?} has no argument {argument:?}"
            )));
        }
    };
    let typed = text("argument", "value").to_lowercase();
    let mut values: Vec<&str> =
        candidates.into_iter().filter(|value| value.to_lowercase().starts_with(&typed)).collect();
    let total = values.len();
    values.truncate(MOST_VALUES);
    Ok(json!({ "completion": { "values": values, "total": total, "hasMore": total > values.len() } }))
}
