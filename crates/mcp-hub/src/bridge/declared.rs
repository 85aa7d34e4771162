//! What a client said that it can be asked for.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// An extension whose answers the hub cannot relay yet, so that no server is
/// told of it (2026-07-28, extensions, tasks).
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The capabilities that a server is told of: the client's own, as it wrote
/// them, less what the hub cannot relay.
pub(crate) fn offered(declared: &str) -> Cow<'_, str> {
    // An escape may spell any letter.
    if !declared.contains("tasks") && !declared.contains('\\') {
        return Cow::Borrowed(declared);
    }
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(declared) else {
        return Cow::Borrowed("{}");
    };
    // Tasks of 2025-11-25 are a capability of their own.
    members.shift_remove("tasks");
    if let Some(Value::Object(extensions)) = members.get_mut("extensions") {
        extensions.shift_remove(TASKS_EXTENSION);
    }
    Cow::Owned(Value::Object(members).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_relayed_is_offered_as_it_was_declared() {
        let declared = r#"{ "elicitation":{"form":{}, "x/y":1e2},"sampling":{}}"#;
        assert_eq!(offered(declared), declared);
    }

    #[test]
    fn tasks_are_not_offered_however_they_are_written() {
        let declared =
            r#"{"tasks":{"list":{}},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{},"a/b":{}}}"#;
        assert_eq!(offered(declared), r#"{"roots":{},"extensions":{"a/b":{}}}"#);
        assert_eq!(offered(r#"{"t\u0061sks":{}}"#), "{}");
    }
}
