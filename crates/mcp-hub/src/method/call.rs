//! `tools/call` (2026-07-28 and 2025-11-25, server/tools).

use std::sync::Arc;

use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, invalid};
use crate::catalog::mirrored;
use crate::catalog::view::Target;
use crate::downstream::answer::{Answer, RpcError};
use crate::downstream::modern;
use crate::upstream::Era;

/// Members with which a legacy client would speak of what its era does not have.
const NOT_OF_ERA: [&str; 2] = ["inputResponses", "requestState"];

pub(super) async fn answer(request: &Arc<Request>) -> Answer {
    match destination(request).await {
        Ok(destination) => forward::forward(request, destination).await,
        Err((reason, target, error)) => request.refuse(reason, target, &error),
    }
}

type Refused = (Reason, Option<String>, RpcError);

async fn destination(request: &Request) -> Result<Destination, Refused> {
    let malformed = |error: RpcError| (Reason::BadRequest, None, error);
    let fields = request
        .fields(["name", "inputResponses", "requestState", "_meta", "arguments", "task"])
        .map_err(malformed)?;
    let name = fields
        .string(0)
        .map_err(|fault| malformed(invalid(fault.to_string())))?
        .ok_or_else(|| malformed(invalid("tools/call needs the tool's \"name\"")))?
        .into_owned();
    for (index, member) in NOT_OF_ERA.iter().enumerate() {
        if request.era == Era::Legacy && fields.raw(index + 1).is_some() {
            let error = invalid(format!("{member}: no call of yours waits for input"));
            return Err((Reason::BadRequest, Some(name), error));
        }
    }
    let place = fields.range(0);
    let arguments = fields.raw(4);
    let asks = fields.raw(5).is_some();
    match request.hub.tool(request, &name).await {
        Some(target) if !target.mirrored.is_empty() => match repeated(request, &target, arguments) {
            Ok(()) => Ok(to(target, name, place, request.era, asks)),
            Err(error) => Err((Reason::BadRequest, Some(name), error)),
        },
        Some(target) => Ok(to(target, name, place, request.era, asks)),
        None => {
            let error = forward::not_found(Kind::Tool, &name, request.era);
            Err((Reason::NotInProfile, Some(name), error))
        }
    }
}

/// Whether the headers that repeat arguments are true: whoever stands between
/// judges the call by them. For a legacy client the hub makes them itself.
fn repeated(request: &Request, target: &Target, arguments: Option<&str>) -> Result<(), RpcError> {
    match request.era {
        Era::Modern => mirrored::check(&target.mirrored, arguments, &request.param_headers)
            .map_err(|reason| modern::mismatch(&reason)),
        Era::Legacy => mirrored::headers(&target.mirrored, arguments).map(drop).map_err(invalid),
    }
}

fn to(
    target: Arc<Target>,
    shown: String,
    place: Option<std::ops::Range<usize>>,
    client: Era,
    asks: bool,
) -> Destination {
    let task = Role::of_call(client, asks, target.needs_task);
    Destination {
        kind: Kind::Tool,
        server: target.server.clone(),
        own: target.own.clone(),
        shown,
        place,
        back: None,
        target: Some(target),
        task,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call carries from poll to poll is moved several times on its way
    /// up: parts that are large or rarely needed belong on the heap.
    #[test]
    fn a_call_is_moved_in_few_bytes() {
        fn size<'a, F: Future>(_: impl Fn(&'a Arc<Request>) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(answer);
        assert!(bytes <= 2_048, "{bytes} bytes");
    }
}
