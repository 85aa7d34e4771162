//! The tools, in the order in which they are listed.

mod asking;
mod call;
mod content;
mod misbehaving;
mod notifying;
mod schema;
mod state;
mod taking_turns;
mod task;

use std::sync::{Arc, LazyLock};

use futures_util::future::BoxFuture;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject, Tool};
use serde_json::{Value, json};

pub(crate) use crate::tool::call::Call;
pub(crate) use crate::tool::state::{PASSING, passing};
use crate::unfinished::Unfinished;

/// How a call ended.
pub(crate) type Answer = Result<CallToolResponse, Unfinished>;

/// A tool, and what it does.
pub(crate) struct Entry {
    pub(crate) tool: Tool,
    work: Work,
}

enum Work {
    Sure(fn(&Call) -> CallToolResult),
    AtOnce(fn(&Call) -> Answer),
    InTime(fn(Call) -> BoxFuture<'static, Answer>),
}

impl Entry {
    /// A tool that always answers, and at once.
    fn new(
        name: &'static str,
        description: &'static str,
        schema: Value,
        work: fn(&Call) -> CallToolResult,
    ) -> Self {
        Self { tool: tool(name, description, schema), work: Work::Sure(work) }
    }

    /// A tool that reads its arguments, and refuses those that it cannot read.
    fn reading(
        name: &'static str,
        description: &'static str,
        schema: Value,
        work: fn(&Call) -> Answer,
    ) -> Self {
        Self { tool: tool(name, description, schema), work: Work::AtOnce(work) }
    }

    /// A tool that waits for something.
    fn waiting(
        name: &'static str,
        description: &'static str,
        schema: Value,
        work: fn(Call) -> BoxFuture<'static, Answer>,
    ) -> Self {
        Self { tool: tool(name, description, schema), work: Work::InTime(work) }
    }

    fn with_output(mut self, schema: Value) -> Self {
        self.tool = self.tool.with_raw_output_schema(Arc::new(object(schema)));
        self
    }

    pub(crate) async fn answer(&self, call: Call) -> Answer {
        match self.work {
            Work::Sure(work) => Ok(work(&call).into()),
            Work::AtOnce(work) => work(&call),
            Work::InTime(work) => work(call).await,
        }
    }
}

/// All tools but the one that comes and goes.
pub(crate) fn all() -> &'static [Entry] {
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        [
            content::tools(),
            notifying::tools(),
            asking::tools(),
            taking_turns::tools(),
            task::tools(),
            schema::tools(),
            state::tools(),
            misbehaving::tools(),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &ALL
}

fn tool(name: &'static str, description: &'static str, schema: Value) -> Tool {
    Tool::new(name, description, Arc::new(object(schema)))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

/// The schema of a tool without arguments.
fn nothing() -> Value {
    json!({ "type": "object", "properties": {} })
}

fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn text(text: impl Into<String>) -> CallToolResponse {
    said(text).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_tool_has_a_name_of_its_own_and_says_what_it_does() {
        let names: BTreeSet<_> = all().iter().map(|entry| entry.tool.name.clone()).collect();
        assert_eq!(names.len(), all().len());
        assert!(all().iter().all(|entry| entry.tool.description.is_some()));
    }

    #[test]
    fn every_schema_is_that_of_an_object() {
        for entry in all() {
            assert_eq!(entry.tool.input_schema.get("type"), Some(&json!("object")), "{}", entry.tool.name);
        }
    }
}
