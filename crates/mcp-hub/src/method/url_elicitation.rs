//! A legacy server refuses a request until a page has been opened (2025-11-25,
//! client/elicitation, "URL elicitation required error"). The modern era has
//! no such error: its client is asked by the result, and its retry makes the
//! request anew (2026-07-28, basic/patterns/mrtr).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::asking::lacks;
use super::forward::{self, Destination};
use super::{Request, invalid};
use crate::bridge::declared::lacking;
use crate::bridge::{input, state};
use crate::downstream::answer::RpcError;
use crate::jsonrpc::{Fields, code, cut};

const ELICIT: &str = "elicitation/create";

/// The result that asks the client to open the pages which `error` names.
///
/// # Errors
/// The client did not say that it opens pages, or the server named none.
pub(super) fn ask(request: &Request, destination: &Destination, error: &str) -> Result<Bytes, RpcError> {
    let pages = pages(error).ok_or_else(|| unreadable(error))?;
    if let Some(required) = pages.iter().find_map(|page| lacking(request.declared(), ELICIT, Some(page))) {
        return Err(lacks(required));
    }
    let asks: Vec<_> = pages
        .into_iter()
        .enumerate()
        .map(|(number, page)| (format!("page-{number}"), ELICIT.to_owned(), Some(page)))
        .collect();
    let arguments = Fields::find(request.params(), ["arguments"]).ok().and_then(|fields| fields.raw(0));
    let of = forward::state_of(request, destination, arguments);
    let sealed = state::seal_again(&request.hub.state_sealer, of, request.hub.clock.now());
    let sealed =
        sealed.ok_or_else(|| RpcError::new(code::INTERNAL_ERROR, "the state could not be sealed"))?;
    Ok(input::result(&asks, &sealed))
}

/// What each page is asked for with, without the id that the modern era does not have.
fn pages(error: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        elicitations: Vec<&'a RawValue>,
    }
    let data = Fields::find(error, ["data"]).ok()?.raw(0)?;
    let data: Data<'_> = serde_json::from_str(data).ok()?;
    let is_page = |page: &&RawValue| {
        Fields::find(page.get(), ["mode"]).is_ok_and(|fields| fields.raw(0) == Some("\"url\""))
    };
    let named = !data.elicitations.is_empty() && data.elicitations.iter().all(is_page);
    let modern = |page: &&RawValue| cut(page.get(), "elicitationId").unwrap_or_else(|| page.get().to_owned());
    named.then(|| data.elicitations.iter().map(modern).collect())
}

/// The error in the server's words, under a code that a modern client may see.
fn unreadable(error: &str) -> RpcError {
    let message = Fields::find(error, ["message"]).ok();
    let message = message.and_then(|fields| fields.string(0).ok()?.map(std::borrow::Cow::into_owned));
    RpcError::new(
        code::INTERNAL_ERROR,
        message.unwrap_or_else(|| "the server wants a page opened".to_owned()),
    )
}

/// What a client hears that comes back without having opened a page.
pub(super) fn declined(params: &str) -> Option<RpcError> {
    let responses = input::responses(params);
    let declined = |response: &RawValue| {
        let fields = Fields::find(response.get(), ["action"]).ok();
        fields.and_then(|fields| fields.raw(0)).is_some_and(|action| action != "\"accept\"")
    };
    responses
        .values()
        .any(|response| declined(response))
        .then(|| invalid("the server answers this request once its page has been opened, which was declined"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_without_their_ids() {
        let error = r#"{"code":-32042,"message":"sign in","data":{"elicitations":[
            {"mode":"url","elicitationId":"e1","url":"https://x/","message":"m","vendor":1e2}]}}"#;
        let expected = r#"{"mode":"url","url":"https://x/","message":"m","vendor":1e2}"#;
        assert_eq!(pages(error).unwrap(), [expected]);
        for unreadable in [
            r#"{"code":-32042,"message":"x"}"#,
            r#"{"code":-32042,"message":"x","data":{"elicitations":[]}}"#,
            r#"{"code":-32042,"message":"x","data":{"elicitations":[{"mode":"form"}]}}"#,
            r#"{"code":-32042,"message":"x","data":{"elicitations":7}}"#,
        ] {
            assert!(pages(unreadable).is_none(), "{unreadable}");
        }
        assert_eq!(super::unreadable(r#"{"message":"sign in"}"#).message, "sign in");
    }

    #[test]
    fn only_who_declines_is_told_so() {
        for action in ["decline", "cancel"] {
            let params =
                format!(r#"{{"inputResponses":{{"a":{{"action":"accept"}},"b":{{"action":"{action}"}}}}}}"#);
            assert!(declined(&params).is_some(), "{action}");
        }
        assert!(declined(r#"{"inputResponses":{"page-0":{"action":"accept"}}}"#).is_none());
        assert!(declined("{}").is_none());
    }
}
