//! `tools/list`, `prompts/list`, `resources/list`, `resources/templates/list`:
//! answered from the catalogue.

use trunkline_model::Reason;

use super::{Request, invalid};
use crate::catalog::ListKind;
use crate::downstream::answer::Answer;

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
    match view.page(kind, cursor.as_deref(), request.era) {
        Some(tail) => {
            let head =
                ["{\"jsonrpc\":\"2.0\",\"id\":", request.id(), ",\"result\":{\"", kind.member(), "\":["]
                    .concat();
            let gzipped = if request.takes_gzip { tail.gzipped_after(&head) } else { None };
            Answer::ok(gzipped.unwrap_or_else(|| tail.after(head)))
        }
        None => {
            let error = invalid("the cursor is unknown or the list has changed; list again without a cursor");
            request.refuse(Reason::BadRequest, None, &error)
        }
    }
}
