//! Tools that count, and tools that change what the lists hold.

use rmcp::model::CallToolResult;
use serde::Deserialize;
use serde_json::json;

use crate::change::Change;
use crate::resource::WATCHED;
use crate::tool::{Answer, Call, Entry, nothing, said};

/// The tool that comes and goes.
pub(crate) const PASSING: &str = "passing_tool";

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::new(
            "counter",
            "Counts its calls: those of a session in the legacy era, those of the process over standard input. Over \
             HTTP in the modern era every call is the first.",
            nothing(),
            counter,
        )
        .with_output(json!({
            "type": "object",
            "properties": { "count": { "type": "integer" } },
            "required": ["count"],
        })),
        Entry::new(
            "count_calls",
            "Says how many calls reached this process, and how many of them were cancelled.",
            nothing(),
            calls,
        ),
        Entry::new("test_trigger_tool_change", "Lets a tool appear, or vanish again.", nothing(), |call| {
            changed(call, Change::Tools)
        }),
        Entry::new("test_trigger_prompt_change", "Lets a prompt appear, or vanish again.", nothing(), |call| {
            changed(call, Change::Prompts)
        }),
        Entry::new("trigger_resource_change", "Lets a resource appear, or vanish again.", nothing(), |call| {
            changed(call, Change::Resources)
        }),
        Entry::reading(
            "update_resource",
            "Tells those who watch a resource that it changed.",
            json!({ "type": "object", "properties": { "uri": { "type": "string", "default": WATCHED } } }),
            update,
        ),
    ]
}

fn counter(call: &Call) -> CallToolResult {
    CallToolResult::structured(json!({ "count": call.session.count() }))
}

/// This call is counted too.
fn calls(call: &Call) -> CallToolResult {
    let calls = &call.shared.calls;
    CallToolResult::structured(json!({ "begun": calls.begun(), "cancelled": calls.cancelled() }))
}

fn changed(call: &Call, change: Change) -> CallToolResult {
    let report = said(format!("{change:?} changed."));
    call.shared.change(change);
    report
}

#[derive(Deserialize)]
struct Watched {
    uri: Option<String>,
}

fn update(call: &Call) -> Answer {
    let Watched { uri } = call.arguments()?;
    Ok(changed(call, Change::Resource(uri.unwrap_or_else(|| WATCHED.to_owned()))).into())
}

/// The entry of [`PASSING`] while it is there.
pub(crate) fn passing() -> Entry {
    Entry::new(PASSING, "Is there until the list changes again.", nothing(), |_| said("Still here."))
}
