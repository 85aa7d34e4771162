//! Tools whose schemas are the point of them.

use rmcp::model::CallToolResult;
use serde_json::{Value, json};

use crate::tool::{Call, Entry, nothing, said};

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::new(
            "json_schema_2020_12_tool",
            "Its schema uses JSON Schema 2020-12; it answers with its arguments.",
            contact(),
            echo,
        ),
        Entry::new(
            "in_region",
            "Its arguments are repeated in headers; it answers with them.",
            region(),
            echo,
        ),
        Entry::new("structured", "Answers with structured content that fits.", nothing(), fitting)
            .with_output(weather()),
        Entry::new(
            "structured_list",
            "Answers with structured content that is no object, as only 2026-07-28 allows.",
            nothing(),
            |_| CallToolResult::structured(json!([1, 2, 3])),
        ),
        Entry::new(
            "lie",
            "Misbehaves: answers with structured content that its output schema forbids.",
            nothing(),
            lying,
        )
        .with_output(weather()),
    ]
}

fn echo(call: &Call) -> CallToolResult {
    said(Value::from(call.request.arguments.clone().unwrap_or_default()).to_string())
}

/// SEP-1613 and SEP-2106: what a list must not lose.
fn contact() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

/// SEP-2243: arguments that a client of 2026-07-28 mirrors as `Mcp-Param-*`.
fn region() -> Value {
    json!({
        "type": "object",
        "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "count": { "type": "integer", "x-mcp-header": "Count" },
            "urgent": { "type": "boolean", "x-mcp-header": "Urgent" },
            "note": { "type": "string" },
        },
    })
}

fn weather() -> Value {
    json!({
        "type": "object",
        "properties": { "temperature": { "type": "number" }, "sky": { "type": "string" } },
        "required": ["temperature", "sky"],
        "additionalProperties": false,
    })
}

fn fitting(_: &Call) -> CallToolResult {
    CallToolResult::structured(json!({ "temperature": 21.5, "sky": "clear" }))
}

fn lying(_: &Call) -> CallToolResult {
    CallToolResult::structured(json!({ "temperature": "warm", "wind": 3 }))
}
