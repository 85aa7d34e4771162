//! What a server asks for in a result, and what clients answer.
//!
//! The input is a server's result on one line and the parameters of a client's
//! request on the next. What is read of either is what `serde_json` reads; what
//! is written for the other side is read there as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use trunkline_mcp_hub::fuzzing::{Question, answers, asked, asking, retried};

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (result, params) = input.split_once('\n').unwrap_or((input, "{}"));
    if let Some(result) = object(result) {
        of_server(result);
    }
    if let Some(params) = object(params) {
        of_client(params);
    }
});

/// What the hub's parser lets through: one object, without space around it.
fn object(text: &str) -> Option<&str> {
    let text = text.trim_matches([' ', '\t', '\r']);
    (text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()).then_some(text)
}

fn of_server(result: &str) {
    let Some((questions, state)) = asked(result) else { return };
    for (key, _, params) in &questions {
        let params = params.as_deref().unwrap_or("null");
        assert!(serde_json::from_str::<IgnoredAny>(params).is_ok(), "{key}: {params} is no JSON");
    }
    if let Ok(read) = serde_json::from_str::<Value>(result) {
        same(&read, &questions);
        let wanted = read.get("requestState");
        let state = state.as_deref().map(|raw| serde_json::from_str::<Value>(raw).expect("JSON"));
        assert_eq!(state.as_ref(), wanted);
    }
    again(&questions);
    let answers: Vec<_> =
        questions.iter().map(|(key, ..)| (key.clone(), "{\"x\" : [1e2]}".to_owned())).collect();
    retry("{}", &answers, state.as_deref());
}

/// The questions are those that `serde_json` reads; a client that has to open
/// a URL is told an id.
fn same(result: &Value, questions: &[Question]) {
    let none = Map::new();
    let wanted = result["inputRequests"].as_object().unwrap_or(&none);
    assert_eq!(wanted.len(), questions.len());
    for (key, method, params) in questions {
        let wanted = &wanted[key.as_str()];
        assert_eq!(wanted["method"].as_str(), Some(method.as_str()));
        let Some(params) = params.as_deref() else { continue };
        let mut params: Value = serde_json::from_str(params).expect("JSON");
        if params != wanted["params"] {
            assert_eq!(method, "elicitation/create");
            let members = params.as_object_mut().expect("an object");
            let id = members.shift_remove("elicitationId").expect("what was added");
            assert_eq!(id, json!("00000000-0000-0000-0000-000000000000"));
            assert_eq!(params, wanted["params"]);
            assert_eq!(params["mode"], "url");
        }
    }
}

/// What is asked of a modern client is read as what it was.
fn again(questions: &[Question]) {
    // The id has been added by now, and is not added twice.
    let result = asking(questions, "state \u{1}\"");
    let result = std::str::from_utf8(&result).expect("UTF-8");
    let (read, state) = asked(result).expect("a result that asks");
    assert_eq!(read, questions, "{result}");
    assert_eq!(state.as_deref(), Some(r#""state \u0001\"""#));
}

/// What a client answers is read by key, and a retry carries it.
fn of_client(params: &str) {
    let given = answers(params);
    for (key, raw) in &given {
        assert!(serde_json::from_str::<IgnoredAny>(raw).is_ok(), "{key}: {raw} is no JSON");
    }
    if let Ok(read) = serde_json::from_str::<Value>(params)
        && !given.is_empty()
    {
        let wanted = read["inputResponses"].as_object().expect("an object");
        assert_eq!(wanted.len(), given.len());
        for (key, raw) in &given {
            assert_eq!(serde_json::from_str::<Value>(raw).expect("JSON"), wanted[key.as_str()], "{key}");
        }
    }
    // A member that differs in its case alone is refused before this.
    let lower = params.to_ascii_lowercase();
    if !lower.contains("inputresponses") && !lower.contains("requeststate") && !params.contains('\\') {
        retry(params, &[("k\"".to_owned(), "[ 1 ]".to_owned())], Some("\"s\""));
    }
}

/// The request with the answers in it says those, and all that it said before.
fn retry(params: &str, given: &[(String, String)], state: Option<&str>) {
    let text = retried(params, given, state);
    let mut sorted = given.to_vec();
    sorted.sort();
    assert_eq!(answers(&text), sorted, "{text}");
    let Ok(before) = serde_json::from_str::<Map<String, Value>>(params) else { return };
    if state.is_some_and(|state| serde_json::from_str::<Value>(state).is_err()) {
        return; // A state may be more than serde_json can hold.
    }
    let after: Map<String, Value> = serde_json::from_str(&text).expect("an object");
    for (name, value) in &before {
        assert_eq!(after.get(name), Some(value), "{name} in {text}");
    }
}
