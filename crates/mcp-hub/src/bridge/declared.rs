//! What a client said that it can be asked for.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::jsonrpc::Fields;

/// The capabilities that a server of the other era, or an older one, is told
/// of: the client's own, as it wrote them, less what belongs to one era alone.
/// Tasks that a server asks of its client (2025-11-25) are not relayed, and
/// the extension is of use only where both sides speak the modern era.
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
        extensions.shift_remove(super::task::EXTENSION);
    }
    Cow::Owned(Value::Object(members).to_string())
}

/// Which capability a question needs that the client did not declare, as the
/// `requiredCapabilities` of an error would name it; none when it may be asked.
pub(crate) fn lacking(declared: &str, method: &str, params: Option<&str>) -> Option<&'static str> {
    match method {
        "sampling/createMessage" => {
            let with_tools = params.is_some_and(|params| has(params, "tools"));
            match member(declared, "sampling") {
                None => Some(r#"{"sampling":{}}"#),
                Some(sampling) if with_tools && !has(sampling, "tools") => {
                    Some(r#"{"sampling":{"tools":{}}}"#)
                }
                Some(_) => None,
            }
        }
        "elicitation/create" => {
            let by_url = params.and_then(|params| member(params, "mode")) == Some("\"url\"");
            let elicitation = member(declared, "elicitation");
            // An empty object means forms (2025-11-25, client/elicitation, "capabilities").
            let may = elicitation.is_some_and(|modes| {
                let url = has(modes, "url");
                if by_url { url } else { has(modes, "form") || !url }
            });
            match (may, by_url) {
                (true, _) => None,
                (false, true) => Some(r#"{"elicitation":{"url":{}}}"#),
                (false, false) => Some(r#"{"elicitation":{"form":{}}}"#),
            }
        }
        "roots/list" if has(declared, "roots") => None,
        "roots/list" => Some(r#"{"roots":{}}"#),
        // What the hub does not know it cannot judge, and nobody declared it.
        _ => Some("{}"),
    }
}

/// Whether the client declared the extension (2026-07-28, extensions).
pub(crate) fn declares_extension(declared: &str, extension: &'static str) -> bool {
    member(declared, "extensions").is_some_and(|extensions| has(extensions, extension))
}

fn member<'a>(object: &'a str, name: &'static str) -> Option<&'a str> {
    Fields::find(object, [name]).ok()?.raw(0)
}

fn has(object: &str, name: &'static str) -> bool {
    member(object, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_declared_may_be_asked() {
        let none = |declared: &str, method: &str, params: &str| lacking(declared, method, Some(params));
        let all = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{}}"#;
        for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
            assert_eq!(none(all, method, "{}"), None, "{method}");
            assert!(none("{}", method, "{}").is_some(), "{method}");
        }
        let url = r#"{"mode":"url"}"#;
        assert_eq!(none(all, "elicitation/create", url), None);
        assert_eq!(none(r#"{"elicitation":{}}"#, "elicitation/create", "{}"), None);
        assert_eq!(
            none(r#"{"elicitation":{}}"#, "elicitation/create", url),
            Some(r#"{"elicitation":{"url":{}}}"#)
        );
        assert!(none(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", "{}").is_some());
        assert!(none(all, "sampling/createMessage", r#"{"tools":[]}"#).is_some());
        assert_eq!(none(r#"{"sampling":{"tools":{}}}"#, "sampling/createMessage", r#"{"tools":[]}"#), None);
        assert!(none(all, "vendor/ask", "{}").is_some());
    }

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
