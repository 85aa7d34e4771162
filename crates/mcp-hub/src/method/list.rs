//! `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list`:
//! answered from the catalogue.

use bytes::Bytes;
use trunkline_model::Reason;

use super::{Request, invalid};
use crate::catalog::ListKind;
use crate::catalog::view::{Gap, View};
use crate::downstream::answer::{Answer, Pieces};
use crate::jsonrpc::text;
use crate::upstream::Era;

/// How long a modern client may keep a list that it cannot hear changes of, in milliseconds.
const TTL_MS: u32 = 30_000;
/// The member of `_meta` that says whose part of a list is missing or old.
const GAPS: &str = "io.trunkline/servers";

pub(super) async fn answer(request: &Request, kind: ListKind) -> Answer {
    let cursor = request.fields(["cursor", "_meta"]).and_then(|fields| {
        let cursor = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
        Ok(cursor.map(std::borrow::Cow::into_owned))
    });
    let cursor = match cursor {
        Ok(cursor) => cursor,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    let view = request.hub.listed_view(request).await;
    match view.listing(kind).page(cursor.as_deref()) {
        Some(page) => {
            let head =
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"{}\":[", request.id(), kind.member());
            let tail = tail(request.era, &view, page.next.as_deref());
            Answer::ok(Pieces::new([Bytes::from(head), page.entries, Bytes::from(tail)]))
        }
        None => {
            let error = invalid("the cursor is unknown or the list has changed; list again without a cursor");
            request.refuse(Reason::BadRequest, None, &error)
        }
    }
}

/// What follows the entries.
fn tail(era: Era, view: &View, next: Option<&str>) -> String {
    let mut tail = "]".to_owned();
    if let Some(next) = next {
        tail.push_str(",\"nextCursor\":");
        tail.push_str(&text(next));
    }
    if era == Era::Modern {
        let ttl = if view.gaps.is_empty() { TTL_MS } else { 0 };
        tail.push_str(",\"resultType\":\"complete\",\"cacheScope\":\"private\",\"ttlMs\":");
        tail.push_str(&ttl.to_string());
    }
    if !view.gaps.is_empty() {
        let gaps: Vec<String> = view.gaps.iter().map(labelled).collect();
        tail.push_str(&[",\"_meta\":{\"", GAPS, "\":{", &gaps.join(","), "}}"].concat());
    }
    tail.push_str("}}");
    tail
}

fn labelled(gap: &Gap) -> String {
    let name = text(gap.server.as_str());
    match &gap.detail {
        None => format!("{name}:{{\"state\":\"{}\"}}", gap.state),
        Some(detail) => format!("{name}:{{\"state\":\"{}\",\"detail\":{}}}", gap.state, text(detail)),
    }
}
