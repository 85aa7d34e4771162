//! What a modern server asks for in a result, and what a modern client gives
//! with its retry (2026-07-28, basic/patterns/mrtr).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::jsonrpc::{Fields, splice, text};

/// Values by the keys that the server chose.
pub(crate) type ByKey = BTreeMap<String, Box<RawValue>>;

/// A result of type `input_required`.
#[derive(Debug)]
pub(crate) struct InputRequired {
    pub requests: Vec<InputRequest>,
    /// What the server wants back, as a JSON string.
    pub state: Option<String>,
}

/// One thing that the server asks for.
#[derive(Debug)]
pub(crate) struct InputRequest {
    pub key: String,
    pub method: String,
    /// Raw JSON.
    pub params: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    params: Option<Box<RawValue>>,
}

impl InputRequired {
    /// Reads a result; none when it is not one.
    pub(crate) fn read(result: &str) -> Option<Self> {
        let fields = Fields::find(result, ["inputRequests", "requestState"]).ok()?;
        let by_key: ByKey = serde_json::from_str(fields.raw(0).unwrap_or("{}")).ok()?;
        let read = |(key, raw): (String, Box<RawValue>)| {
            let Asked { method, params } = serde_json::from_str(raw.get()).ok()?;
            Some(InputRequest { key, method, params: params.map(|raw| raw.get().to_owned()) })
        };
        let requests: Option<Vec<_>> = by_key.into_iter().map(read).collect();
        Some(Self { requests: requests?, state: fields.raw(1).map(str::to_owned) })
    }
}

impl InputRequest {
    /// The parameters as a legacy client wants them: asked to open a URL, it
    /// needs an id that the modern era does not have (2025-11-25, client/elicitation).
    pub(crate) fn legacy_params(&self, new_id: Uuid) -> Option<String> {
        let params = self.params.as_deref()?;
        let fields = Fields::find(params, ["mode", "elicitationId"]).ok()?;
        if self.method != "elicitation/create" || fields.raw(0) != Some("\"url\"") || fields.raw(1).is_some()
        {
            return Some(params.to_owned());
        }
        Some(splice(params, &[(1..1, &format!("\"elicitationId\":\"{new_id}\","))]))
    }
}

/// The members with which a request is made again.
pub(crate) fn retry_members(answers: &[(String, String)], state: Option<&str>) -> String {
    let answers: Vec<String> = answers.iter().map(|(key, raw)| format!("{}:{raw}", text(key))).collect();
    let mut members = format!("\"inputResponses\":{{{}}}", answers.join(","));
    if let Some(state) = state {
        members.push_str(",\"requestState\":");
        members.push_str(state);
    }
    members
}

/// The parameters of a request with these members in them.
pub(crate) fn with_members(params: &str, members: &str) -> String {
    let rest = params.get(1..).unwrap_or_default();
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    splice(params, &[(1..1, &format!("{members}{comma}"))])
}

/// A result that asks a modern client for these requests: key, method and raw parameters.
pub(crate) fn result(requests: &[(String, String, Option<String>)], state: &str) -> Bytes {
    let request = |(key, method, params): &(String, String, Option<String>)| {
        let params = params.as_ref().map(|params| format!(",\"params\":{params}")).unwrap_or_default();
        format!("{}:{{\"method\":{}{params}}}", text(key), text(method))
    };
    let requests: Vec<String> = requests.iter().map(request).collect();
    format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{{{}}},\"requestState\":{}}}",
        requests.join(","),
        text(state)
    )
    .into()
}

/// The answers that a modern client gives; empty when there are none, or they
/// are no object.
pub(crate) fn responses(params: &str) -> ByKey {
    let fields = Fields::find(params, ["inputResponses"]).ok();
    fields.and_then(|fields| serde_json::from_str(fields.raw(0)?).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_asks_for_is_read_and_a_retry_carries_the_answers() {
        let result = r#"{"resultType":"input_required","requestState":"s\u0061","inputRequests":{
            "b":{"method":"roots/list"},"a":{"method":"elicitation/create","params":{"mode":"url","x":1e2}}}}"#;
        let asked = InputRequired::read(result).unwrap();
        assert_eq!(asked.state.as_deref(), Some(r#""s\u0061""#));
        assert_eq!(asked.requests[1].method, "roots/list");
        let id = Uuid::from_u128(1);
        assert_eq!(
            asked.requests[0].legacy_params(id).unwrap(),
            format!(r#"{{"elicitationId":"{id}","mode":"url","x":1e2}}"#)
        );
        let members = retry_members(&[("a".into(), "{}".into())], asked.state.as_deref());
        assert_eq!(
            with_members(r#"{"name":"t"}"#, &members),
            r#"{"inputResponses":{"a":{}},"requestState":"s\u0061","name":"t"}"#
        );
        assert_eq!(with_members("{}", "\"a\":1"), r#"{"a":1}"#);
        assert!(InputRequired::read(r#"{"inputRequests":{"a":7}}"#).is_none());
    }

    #[test]
    fn a_modern_client_is_asked_and_its_answers_are_read() {
        let asked = result(&[("k".into(), "roots/list".into(), Some("{\"a\":1}".into()))], "state");
        let asked = InputRequired::read(std::str::from_utf8(&asked).unwrap()).unwrap();
        assert_eq!((asked.requests[0].key.as_str(), asked.state.as_deref()), ("k", Some("\"state\"")));
        let answers = responses(r#"{"inputResponses":{"k":{ "roots" : []},"z":1}}"#);
        assert_eq!(answers["k"].get(), r#"{ "roots" : []}"#);
        assert!(responses("{}").is_empty() && responses(r#"{"inputResponses":7}"#).is_empty());
    }
}
