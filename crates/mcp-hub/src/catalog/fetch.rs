//! Asking a server for a list, to its last page.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;
use trunkline_profiles::Permit;

use super::lists::Entry;
use super::{ListKind, mirrored};
use crate::jsonrpc::{Fields, Kind, Message};
use crate::upstream::pool::Lease;
use crate::upstream::{self, Era, Outgoing, UpstreamError, hop};

/// More pages than any real server has: a cursor that never ends is a fault.
const MOST_PAGES: usize = 200;
/// More entries than any client can use.
const MOST_ENTRIES: usize = 20_000;

/// All entries of one list, in the server's order.
///
/// # Errors
/// [`UpstreamError`] when the server did not answer, answered with an error,
/// repeated a cursor, or never came to an end.
pub(crate) async fn fetch(
    lease: &Lease,
    permit: &Permit,
    kind: ListKind,
) -> Result<Vec<Entry>, UpstreamError> {
    let mut entries = Vec::new();
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    for _ in 0..MOST_PAGES {
        let message = ask(lease, permit, kind, cursor.as_deref()).await?;
        let known = entries.len();
        cursor = take_page(&message, kind, &mut entries)?;
        if kind == ListKind::Tools && lease.greeting().era == Era::Modern {
            leave_out_unusable(&mut entries, known);
        }
        if entries.len() > MOST_ENTRIES {
            return Err(fault(kind, &format!("lists more than {MOST_ENTRIES} entries")));
        }
        match &cursor {
            None => return Ok(entries),
            Some(next) if !seen.insert(next.clone()) => {
                return Err(fault(kind, "repeats a cursor: its pages never end"));
            }
            Some(_) => {}
        }
    }
    Err(fault(kind, &format!("has more than {MOST_PAGES} pages")))
}

fn fault(kind: ListKind, what: &str) -> UpstreamError {
    UpstreamError::Protocol { reason: format!("{} {what}", kind.method()) }
}

async fn ask(
    lease: &Lease,
    permit: &Permit,
    kind: ListKind,
    cursor: Option<&str>,
) -> Result<Message, UpstreamError> {
    let id = upstream::next_id();
    let mut members = Vec::new();
    if lease.greeting().era == Era::Modern {
        members.push(format!("\"_meta\":{}", hop::own_meta()));
    }
    if let Some(cursor) = cursor {
        members.push(format!("\"cursor\":{cursor}"));
    }
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{{{}}}}}"#,
        kind.method(),
        members.join(",")
    );
    let outgoing = Outgoing {
        id,
        method: kind.method().to_owned(),
        body: Bytes::from(body),
        name: None,
        param_headers: Vec::new(),
    };
    lease.call(permit, outgoing).await?.into_answer().await
}

/// Takes the entries of one page; gives the raw text of the next cursor.
fn take_page(
    message: &Message,
    kind: ListKind,
    entries: &mut Vec<Entry>,
) -> Result<Option<String>, UpstreamError> {
    let payload = message.payload_bytes().unwrap_or_default();
    let text = std::str::from_utf8(&payload).unwrap_or_default();
    if message.kind() == Kind::Error {
        // A server that advertises a capability may still not know the method.
        if error_code(text) == Some(crate::jsonrpc::code::METHOD_NOT_FOUND) {
            return Ok(None);
        }
        return Err(fault(kind, "was answered with an error"));
    }
    let fields = Fields::find(text, [kind.member(), "nextCursor"])
        .map_err(|error| fault(kind, &format!("has a malformed result: {error}")))?;
    let list = fields.raw(0).unwrap_or("[]");
    let raw: Vec<&RawValue> =
        serde_json::from_str(list).map_err(|_| fault(kind, "does not answer with a list"))?;
    for item in raw {
        match entry(&payload, kind, item.get()) {
            Some(entry) => entries.push(entry),
            None => tracing::warn!(list = kind.method(), "an entry without a usable name is left out"),
        }
    }
    Ok(fields.raw(1).filter(|cursor| !matches!(*cursor, "null" | "\"\"")).map(str::to_owned))
}

/// A client over HTTP must not show a tool whose arguments cannot be repeated
/// in headers as it says (2026-07-28, basic/transports/streamable-http).
fn leave_out_unusable(tools: &mut Vec<Entry>, known: usize) {
    let mut position = 0;
    tools.retain(|tool| {
        position += 1;
        let fault = (position > known).then(|| mirrored::fault(&tool.json)).flatten();
        if let Some(fault) = &fault {
            tracing::warn!(tool = tool.key, reason = fault, "a tool is left out");
        }
        fault.is_none()
    });
}

/// The code of a JSON-RPC error object.
pub(crate) fn error_code(error: &str) -> Option<i64> {
    Fields::find(error, ["code"]).ok()?.raw(0)?.parse().ok()
}

fn entry(page: &Bytes, kind: ListKind, json: &str) -> Option<Entry> {
    let key = match kind {
        ListKind::Tools | ListKind::Prompts => "name",
        ListKind::Resources => "uri",
        ListKind::Templates => "uriTemplate",
    };
    let fields = Fields::find(json, [key, "description"]).ok()?;
    let value = fields.string(0).ok()??.into_owned();
    let start = json.as_ptr() as usize - page.as_ptr() as usize;
    Some(Entry {
        json: page.slice(start..start + json.len()),
        key: value,
        key_range: fields.range(0)?,
        description_range: string_range(&fields),
    })
}

fn string_range(fields: &Fields<'_, 2>) -> Option<Range<usize>> {
    fields.raw(1).filter(|raw| raw.starts_with('"')).and_then(|_| fields.range(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(result: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        Message::parse_shallow(Bytes::from(text)).unwrap()
    }

    #[test]
    fn entries_are_kept_as_the_server_wrote_them() {
        let message = page(
            r#"{"tools":[{"x-vendor":1e2,"name":"a", "description":"d"}, {"title":"no name"}],"nextCursor":"2"}"#,
        );
        let mut entries = Vec::new();
        let cursor = take_page(&message, ListKind::Tools, &mut entries).unwrap();
        assert_eq!(cursor.as_deref(), Some("\"2\""));
        assert_eq!(entries.len(), 1);
        assert_eq!(&entries[0].json[..], br#"{"x-vendor":1e2,"name":"a", "description":"d"}"#);
        assert_eq!(&entries[0].json[entries[0].key_range.clone()], br#""a""#);
    }

    #[test]
    fn an_empty_or_null_cursor_is_the_end() {
        for end in [r#"{"tools":[]}"#, r#"{"tools":[],"nextCursor":null}"#, r#"{"tools":[],"nextCursor":""}"#]
        {
            assert_eq!(take_page(&page(end), ListKind::Tools, &mut Vec::new()).unwrap(), None);
        }
    }
}
