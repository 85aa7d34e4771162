//! What an answer of a server means for the trail and for the client.

use bytes::Bytes;
use http::StatusCode;
use trunkline_model::Outcome;
use trunkline_profiles::{Kind, Permit};

use super::forward::{self, Destination, upstream_error};
use super::task::{self, Role};
use super::{Request, audit_unavailable, consent, url_elicitation};
use crate::bridge::task_ids;
use crate::catalog::fetch::error_code;
use crate::catalog::skill;
use crate::downstream::answer::{Answer, Pieces, RpcError, error_message, result_message};
use crate::jsonrpc::{self, Fields, Message, code, splice};
use crate::upstream::pool::Lease;
use crate::upstream::{Era, UpstreamError};

/// The end of a request.
pub(super) struct Concluded {
    pub outcome: Outcome,
    /// The HTTP status of an answer that is no stream.
    pub status: StatusCode,
    pub pieces: Pieces,
    /// Bytes of the server's result.
    pub bytes: u64,
}

/// Settles the permit and makes the answer of a request that needs no stream.
pub(super) fn finish(
    request: &Request,
    destination: &Destination,
    permit: Option<Permit>,
    answered: Result<Message, UpstreamError>,
    lease: Option<&Lease>,
) -> Answer {
    let Concluded { outcome, status, pieces, bytes } = conclude(request, destination, answered, lease);
    match permit.map(|permit| permit.settle(outcome, bytes)) {
        Some(Err(_)) => audit_unavailable().answer(Some(request.id())),
        Some(Ok(())) | None => Answer::Message { status, body: pieces, session: None },
    }
}

/// Ends a request with an error of the hub.
pub(super) fn end(request: &Request, permit: Option<Permit>, error: &RpcError) -> Answer {
    let outcome = Outcome::Error { code: error.code };
    match permit.map(|permit| permit.settle(outcome, 0)) {
        Some(Err(_)) => audit_unavailable().answer(Some(request.id())),
        Some(Ok(())) | None => error.answer(Some(request.id())),
    }
}

/// What the trail says of the answer, and the answer itself. `lease` is of the
/// server that answered; none when it did not.
pub(super) fn conclude(
    request: &Request,
    destination: &Destination,
    answered: Result<Message, UpstreamError>,
    lease: Option<&Lease>,
) -> Concluded {
    let id = request.id();
    let server_era = lease.map_or(Era::Legacy, |lease| lease.greeting().era);
    let message = match answered {
        Ok(message) => message,
        Err(UpstreamError::NeedsConsent { reason, link: Some(link), .. }) => {
            return consent::ask(request, destination, &reason, &link);
        }
        Err(error) => {
            let outcome = Outcome::Unreachable { detail: error.to_string() };
            let pieces = upstream_error(&destination.server, &error).body(Some(id));
            return Concluded { outcome, status: StatusCode::OK, pieces, bytes: 0 };
        }
    };
    let payload = message.payload_bytes().unwrap_or_default();
    let bytes = payload.len() as u64;
    let text = message.payload().unwrap_or_default();
    if message.kind() == jsonrpc::Kind::Error {
        if wants_page(request, server_era, text) {
            return page_first(request, destination, text, bytes);
        }
        let (number, payload) = in_clients_words(request, server_era, text, payload);
        let (outcome, pieces) = (Outcome::Error { code: number }, error_message(id, payload));
        return Concluded { outcome, status: status_of(request.era, number), pieces, bytes };
    }
    let (outcome, result) = match result_type(text, server_era) {
        ResultType::Complete if is_tool_error(destination.kind, text) => {
            (Outcome::ToolError, in_role(request, destination, lease, &message))
        }
        ResultType::Complete => (Outcome::Ok, in_role(request, destination, lease, &message)),
        ResultType::InputRequired => {
            let asks = request.era == Era::Modern;
            let asks = asks.then(|| forward::input_required(request, destination, &payload)).flatten();
            (Outcome::InputRequired, asks.ok_or_else(|| not_offered("input_required")))
        }
        ResultType::Other("\"task\"") if matches!(destination.task, Role::MayBegin { .. }) => {
            let begun = lease.and_then(|lease| task::begun(request, destination, lease, &message));
            (Outcome::Ok, begun.ok_or_else(|| not_offered("task")))
        }
        ResultType::Other(other) => (Outcome::Ok, Err(not_offered(other))),
    };
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            let (outcome, pieces) = (Outcome::Error { code: error.code }, error.body(Some(id)));
            return Concluded { outcome, status: error.status, pieces, bytes };
        }
    };
    let method = request.message.method().unwrap_or_default();
    let reads = matches!(method, "resources/read" | "skills/get" | "resources/directory/read");
    let result = match &destination.target {
        Some(target) => target.with_links_shown(result),
        None if reads && destination.shown != destination.own => {
            skill::shown(method, &destination.server, result)
        }
        None => result,
    };
    let result = in_clients_era(request.era, server_era, reads, result);
    Concluded { outcome, status: StatusCode::OK, pieces: result_message(id, result), bytes }
}

/// Whether a legacy server tells a modern client in its own way to open a page.
fn wants_page(request: &Request, server_era: Era, error: &str) -> bool {
    request.era == Era::Modern
        && server_era == Era::Legacy
        && error_code(error) == Some(code::URL_ELICITATION_REQUIRED)
}

fn page_first(request: &Request, destination: &Destination, error: &str, bytes: u64) -> Concluded {
    match url_elicitation::ask(request, destination, error) {
        Ok(result) => {
            let pieces = result_message(request.id(), result);
            Concluded { outcome: Outcome::InputRequired, status: StatusCode::OK, pieces, bytes }
        }
        Err(error) => {
            let (outcome, pieces) = (Outcome::Error { code: error.code }, error.body(Some(request.id())));
            Concluded { outcome, status: error.status, pieces, bytes }
        }
    }
}

/// A result with the ids of tasks as the client knows them.
fn in_role(
    request: &Request,
    destination: &Destination,
    lease: Option<&Lease>,
    answer: &Message,
) -> Result<Bytes, RpcError> {
    let result = answer.payload_bytes().unwrap_or_default();
    match &destination.task {
        // In this era the client has asked for it, and the result has no type.
        Role::MayBegin { .. } if request.era == Era::Legacy => {
            let begun = lease.and_then(|lease| task::begun(request, destination, lease, answer));
            Ok(begun.unwrap_or(result))
        }
        Role::None | Role::MayBegin { .. } => Ok(result),
        Role::RunsHidden(_) => Ok(answer.payload().and_then(task_ids::unrelated).map_or(result, Bytes::from)),
        Role::About(_) => task::shown(request, destination, result),
    }
}

/// What a modern server's result is (2026-07-28, basic, "resultType").
enum ResultType<'a> {
    Complete,
    InputRequired,
    Other(&'a str),
}

fn result_type(result: &str, server_era: Era) -> ResultType<'_> {
    if server_era == Era::Legacy {
        return ResultType::Complete;
    }
    let fields = Fields::find(result, ["resultType"]);
    match fields.ok().and_then(|fields| fields.raw(0)) {
        None | Some("\"complete\"") => ResultType::Complete,
        Some("\"input_required\"") => ResultType::InputRequired,
        Some(other) => ResultType::Other(other),
    }
}

fn not_offered(result_type: &str) -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        format!("the server answered with a result of type {result_type}, which was not offered to it"),
    )
}

fn is_tool_error(kind: Kind, result: &str) -> bool {
    kind == Kind::Tool
        && memchr::memmem::find(result.as_bytes(), b"isError").is_some()
        && Fields::find(result, ["isError"]).is_ok_and(|fields| fields.raw(0) == Some("true"))
}

/// The code of an error answer.
pub(super) fn code_of(message: &Message) -> i64 {
    message.payload().and_then(error_code).unwrap_or(code::INTERNAL_ERROR)
}

/// The HTTP status that goes with an error (2026-07-28, basic, "error codes").
fn status_of(client: Era, number: i64) -> StatusCode {
    match (client, number) {
        (
            Era::Modern,
            code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_PROTOCOL_VERSION,
        ) => StatusCode::BAD_REQUEST,
        (Era::Modern, code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

/// An error under the code that the client's era has for it, and that is about
/// the client's request: a legacy server has a code of its own for a resource
/// that is not there, and what a modern server says of headers and versions is
/// about the hub's.
fn in_clients_words(request: &Request, server_era: Era, error: &str, payload: Bytes) -> (i64, Bytes) {
    let number = error_code(error).unwrap_or(code::INTERNAL_ERROR);
    let shown = match (request.era, server_era, number) {
        (Era::Modern, Era::Legacy, code::RESOURCE_NOT_FOUND) => code::INVALID_PARAMS,
        (_, Era::Modern, code::HEADER_MISMATCH | code::UNSUPPORTED_PROTOCOL_VERSION) => code::INTERNAL_ERROR,
        _ => return (number, payload),
    };
    match Fields::find(error, ["code"]).ok().and_then(|fields| fields.range(0)) {
        Some(place) => (shown, Bytes::from(splice(error, &[(place, &shown.to_string())]))),
        None => (number, payload),
    }
}

/// A legacy server's result gets the members that the modern era requires;
/// all else stays as it is.
fn in_clients_era(client: Era, server: Era, reads: bool, result: Bytes) -> Bytes {
    if client == server || client == Era::Legacy || result.first() != Some(&b'{') {
        return result;
    }
    // What was read may be kept by nobody: a legacy server says nothing of that.
    let members = if reads {
        r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#
    } else {
        r#""resultType":"complete""#
    };
    let text = std::str::from_utf8(&result).unwrap_or_default();
    let rest = text.get(1..).unwrap_or_default();
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    Bytes::from(splice(text, &[(1..1, &format!("{members}{comma}"))]))
}
