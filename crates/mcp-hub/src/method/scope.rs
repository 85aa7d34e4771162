//! Tools that an access token opens only with a scope of their own (MCP
//! 2026-07-28, authorization, "Runtime insufficient scope errors").

use http::{HeaderValue, StatusCode};
use trunkline_model::Reason;
use trunkline_oauth::resource::insufficient_scope;

use super::{Request, task};
use crate::downstream::answer::{Answer, RpcError};
use crate::jsonrpc::code;

/// The answer to a request about a tool for which the caller's token has too
/// little scope. It comes before any server is asked what it lists, and before
/// the answer of any transport has begun; the one door would refuse it too.
pub(crate) fn refused(request: &Request, method: &str) -> Option<Answer> {
    if request.profile.spec().scopes.is_empty() || request.caller.scope().is_none() {
        return None;
    }
    let tool = match method {
        "tools/call" => request.fields(["name"]).ok()?.string(0).ok()??.into_owned(),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => {
            let fields = request.fields(["taskId"]).ok()?;
            task::find(request, &fields.string(0).ok()??)?.ticket.shown
        }
        _ => return None,
    };
    if request.profile.lacking(&request.caller, &tool).is_empty() {
        return None;
    }
    let error = error(request, &tool);
    let challenge = challenge(request, &tool);
    Some(request.refuse(Reason::InsufficientScope, Some(tool), &error).challenging(challenge))
}

/// The answer after a refusal by the one door, which is in the trail by then.
pub(super) fn answer(request: &Request, tool: &str) -> Answer {
    error(request, tool).answer(Some(request.id())).challenging(challenge(request, tool))
}

/// Says which scopes a token would need: those that it has, and those that
/// the tool needs besides.
fn challenge(request: &Request, tool: &str) -> Option<HeaderValue> {
    let lacking = request.profile.lacking(&request.caller, tool);
    let metadata = request.hub.resource_metadata(request.profile.name(), request.host.as_ref());
    insufficient_scope(metadata.as_deref(), request.caller.scope().unwrap_or_default(), &lacking)
}

fn error(request: &Request, tool: &str) -> RpcError {
    let lacking = request.profile.lacking(&request.caller, tool).join(" and ");
    let words = format!("{tool} needs the scope {lacking}, which the access token lacks");
    RpcError::new(code::INVALID_REQUEST, words).status(StatusCode::FORBIDDEN)
}
