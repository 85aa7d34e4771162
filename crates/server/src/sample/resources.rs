//! The resource `sample://readme` and the notes behind a template.

use serde_json::{Map, Value, json};

use super::message::{Era, INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND, RpcError};

const README_URI: &str = "sample://readme";
pub(super) const NOTE_TEMPLATE: &str = "sample://note/{id}";
const NOTE_PREFIX: &str = "sample://note/";

const NOTES: [(&str, &str); 3] = [
    ("1", "A profile is one endpoint: a chosen set of servers and tools behind one URL."),
    ("2", "Hidden is absent: a tool that a profile leaves out is not listed and cannot be called."),
    ("3", "Every call through the hub leaves one line in the audit trail, refusals included."),
];

const README: &str = "# Trunkline's sample server

It runs from the hub's own binary, so that a first profile has something to serve.

- Tools: `echo`, `add`, `now`, `slow_count`, `fail`
- Prompt: `greet`, which completes its argument
- Resources: this text, and the notes `sample://note/1` to `sample://note/3`

Replace it with servers of your own: `trunkline import FILE` takes over what a client's configuration has.
";

/// The `resources` of `resources/list`.
pub(super) fn list() -> Value {
    json!([{
        "uri": README_URI,
        "name": "readme",
        "title": "About this server",
        "description": "What the sample server offers and what to do next.",
        "mimeType": "text/markdown",
        "size": README.len()
    }])
}

/// The `resourceTemplates` of `resources/templates/list`.
pub(super) fn templates() -> Value {
    json!([{
        "uriTemplate": NOTE_TEMPLATE,
        "name": "note",
        "title": "Notes",
        "description": "Short notes about the hub; the id is 1, 2 or 3.",
        "mimeType": "text/plain"
    }])
}

pub(super) fn note_ids() -> impl Iterator<Item = &'static str> {
    NOTES.iter().map(|(id, _)| *id)
}

/// The `ReadResourceResult` of `resources/read`.
///
/// # Errors
/// No such resource, with the code of the client's era.
pub(super) fn read(params: &Map<String, Value>, era: Era) -> Result<Value, RpcError> {
    let uri = params
        .get("uri")
        .and_then(Value::as_str)
        .ok_or_else(|| RpcError::invalid_params("params.uri must be the URI of a resource"))?;
    let note = || {
        let id = uri.strip_prefix(NOTE_PREFIX)?;
        NOTES.iter().find(|(known, _)| *known == id).map(|(_, text)| *text)
    };
    let (mime_type, text) = if uri == README_URI {
        ("text/markdown", README)
    } else if let Some(text) = note() {
        ("text/plain", text)
    } else {
        let code = match era {
            Era::Legacy => LEGACY_RESOURCE_NOT_FOUND,
            Era::Modern => INVALID_PARAMS,
        };
        let message = format!("Resource not found: {uri}");
        return Err(RpcError { code, message, data: Some(json!({ "uri": uri })) });
    };
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": mime_type, "text": text }] }))
}
