//! The way of a request to its server and back, the same for every method.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use trunkline_model::{Outcome, Reason, ServerName};
use trunkline_profiles::{Kind, Permit, Refusal};

use super::asking::{Asking, asks_legacy_client};
use super::patience::{Patience, for_task};
use super::patiently::patiently;
use super::relay::{Incoming, Relay};
use super::task::{self, Role};
use super::{Request, conclude, invalid, meta, scope, suspend, url_elicitation};
use crate::bridge::declared::{lacking, offered};
use crate::bridge::input::{InputRequest, InputRequired, with_members};
use crate::bridge::state::{self, State};
use crate::catalog::mirrored;
use crate::catalog::view::Target;
use crate::downstream::answer::{Answer, RpcError};
use crate::downstream::modern::{self, NAME_HEADER};
use crate::downstream::session::Running;
use crate::jsonrpc::{self, Fields, Message, code, cut, may_have_meta, splice, splice_into, text};
use crate::upstream::pool::Lease;
use crate::upstream::{self, Era, Exchange, InstanceKey, Outgoing, UpstreamError};

/// Where a request goes and what stands there for the caller's name.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub kind: Kind,
    pub server: ServerName,
    /// The server's own name of the tool or prompt, or the resource's URI.
    pub own: String,
    /// The name that the caller used.
    pub shown: String,
    /// Where the name stands in the parameters, quotes included; nothing is
    /// replaced when it is the server's own.
    pub place: Option<std::ops::Range<usize>>,
    /// What the client brings back with this request.
    pub back: Option<Back>,
    /// What is known of the tool or prompt; none for a resource.
    pub target: Option<Arc<Target>>,
    pub task: Role,
}

/// What comes with a request that a client makes again after having been asked.
#[derive(Debug, Clone)]
pub(super) enum Back {
    /// The server's own state, and where the sealed one stands in the parameters.
    Servers(std::ops::Range<usize>, String),
    /// Answers to the hub, of which the server knows nothing.
    Hubs,
}

/// Asks the one door, then the server.
pub(super) async fn forward(request: &Arc<Request>, mut destination: Destination) -> Answer {
    let mut waiting = None;
    match returned_state(request, &destination) {
        Ok(None) => {}
        Ok(Some((place, State::Servers(state)))) => {
            destination.back = Some(Back::Servers(place, text(&state)));
        }
        Ok(Some((_, State::Call(handle)))) => waiting = Some(handle),
        Ok(Some((_, State::Again))) => {
            if let Some(error) = url_elicitation::declined(request.params()) {
                return request.refuse(Reason::BadRequest, Some(destination.shown), &error);
            }
            destination.back = Some(Back::Hubs);
        }
        Err(error) => return request.refuse(Reason::BadRequest, Some(destination.shown), &error),
    }
    match admitted(request, &destination) {
        Ok(permit) => match waiting {
            Some(handle) => Box::pin(suspend::resume(request, &destination, handle, permit)).await,
            None => run(request, destination, permit).await,
        },
        Err(refusal) => refused(request, &destination, refusal),
    }
}

/// What the one door says.
fn admitted(request: &Request, destination: &Destination) -> Result<Permit, Refusal> {
    let target = destination.task.tool().unwrap_or(&destination.own).to_owned();
    let mut action = request.action(Some(destination.server.clone()), Some(target));
    if destination.shown != destination.own {
        action.shown_as = Some(destination.shown.clone());
    }
    let mut asked = request.asked(destination.kind, action);
    if let Some(shown) = destination.task.tool_shown() {
        asked.tool = Some(shown.to_owned());
    }
    request.hub.guard.admit(&request.caller, &request.profile, asked)
}

/// The state that a modern client gives back with its answers to a server's
/// questions, opened.
fn returned_state(
    request: &Request,
    destination: &Destination,
) -> Result<Option<(std::ops::Range<usize>, State)>, RpcError> {
    let params = request.params();
    if request.era == Era::Legacy || !(params.contains("requestState") || params.contains('\\')) {
        return Ok(None);
    }
    let fields = request.fields(["requestState", "arguments"])?;
    let sealed = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
    let (Some(sealed), Some(place)) = (sealed, fields.range(0)) else { return Ok(None) };
    let of = state_of(request, destination, fields.raw(1));
    let state = state::open(&request.hub.state_sealer, of, request.arrived, &sealed).ok_or_else(|| {
        invalid("\"requestState\" was not given for this request, or too long ago; make the request anew")
    })?;
    Ok(Some((place, state)))
}

pub(super) fn state_of<'a>(
    request: &'a Request,
    destination: &'a Destination,
    arguments: Option<&'a str>,
) -> state::Of<'a> {
    state::Of {
        identity: request.caller.identity(),
        profile: request.profile.name(),
        server: &destination.server,
        method: request.message.method().unwrap_or_default(),
        name: &destination.own,
        arguments,
    }
}

/// A result with which a server asks back, for a modern client: its state is
/// sealed. None when it asks for what the client did not declare, or the
/// cryptographic library refuses.
pub(super) fn input_required(request: &Request, destination: &Destination, result: &Bytes) -> Option<Bytes> {
    let result_text = std::str::from_utf8(result).ok()?;
    let lacks = |input: &InputRequest| {
        let lacking = lacking(request.declared(), &input.method, input.params.as_deref());
        // What the hub does not know is between the two of them.
        lacking.is_some_and(|required| required != "{}")
    };
    if InputRequired::read(result_text).is_some_and(|asked| asked.requests.iter().any(lacks)) {
        return None;
    }
    let fields = Fields::find(result_text, ["requestState"]).ok()?;
    let Ok(Some(inner)) = fields.string(0) else { return Some(result.clone()) };
    let asked = Fields::find(request.params(), ["arguments"]).ok()?;
    let of = state_of(request, destination, asked.raw(0));
    let sealed = state::seal(&request.hub.state_sealer, of, request.hub.clock.now(), &inner)?;
    Some(Bytes::from(splice(result_text, &[(fields.range(0)?, &text(&sealed))])))
}

/// What is refused looks as if it were not there.
fn refused(request: &Request, destination: &Destination, refusal: Refusal) -> Answer {
    let lacks_scope = refusal.decision().reason == Reason::InsufficientScope;
    if refusal.record().is_err() {
        return super::audit_unavailable().answer(Some(request.id()));
    }
    if lacks_scope {
        let tool = destination.task.tool_shown().unwrap_or(&destination.shown);
        return scope::answer(request, tool);
    }
    let error = match &destination.task {
        Role::About(_) => task::not_found(),
        Role::None | Role::MayBegin { .. } | Role::RunsHidden(_) => {
            not_found(destination.kind, &destination.shown, request.era)
        }
    };
    error.answer(Some(request.id()))
}

/// "There is no such thing", in the words of the protocol.
pub(super) fn not_found(kind: Kind, shown: &str, era: Era) -> RpcError {
    match kind {
        Kind::Tool => RpcError::new(code::INVALID_PARAMS, format!("Unknown tool: {shown}")),
        Kind::Prompt => RpcError::new(code::INVALID_PARAMS, format!("Unknown prompt: {shown}")),
        Kind::Server => super::method_not_found(era, shown),
        Kind::Resource => {
            let number = if era == Era::Modern { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
            RpcError::new(number, "Resource not found").data(format!("{{\"uri\":{}}}", text(shown)))
        }
    }
}

/// Runs an admitted request. For a legacy client it runs on even when the
/// client goes away: to disconnect is not to cancel (2025-11-25, transports).
async fn run(request: &Arc<Request>, destination: Destination, permit: Permit) -> Answer {
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = request.session.as_ref().map(|session| session.start(request.id(), cancel.clone()));
    patiently(request, exchange(Arc::clone(request), destination, permit, cancel, running)).await
}

async fn exchange(
    request: Arc<Request>,
    destination: Destination,
    permit: Permit,
    cancel: tokio_util::sync::CancellationToken,
    running: Option<Running>,
) -> Answer {
    let patience = request.hub.call_timeout(&destination.server);
    let waits = request.message.method() == Some("tasks/result");
    let patience = if waits { for_task(patience) } else { patience };
    // On the heap: the futures around it are moved often and stay small.
    let asking = Box::pin(ask(&request, &destination, &permit));
    let asked = tokio::select! {
        biased;
        () = cancel.cancelled() => return cancelled(Some(permit)),
        asked = upstream::within(patience, asking) => asked,
    };
    match asked {
        Ok((Exchange::Done(message), lease))
            if !asks_legacy_client(request.era, lease.greeting().era, &message)
                && destination.task.begins(&message).is_none() =>
        {
            conclude::finish(&request, &destination, Some(permit), Ok(message), Some(&lease))
        }
        Ok((exchange, lease)) => {
            let token = super::meta_of(&request).and_then(meta::progress_token).map(str::to_owned);
            let patience = Patience::new(patience);
            let relay = Relay {
                request,
                destination,
                permit: Some(permit),
                lease,
                incoming: Incoming::of(exchange),
                token,
                cancel,
                running,
                patience,
                asking: Asking::default(),
                hidden: None,
            };
            Box::pin(relay.answer()).await
        }
        Err(error) => conclude::finish(&request, &destination, Some(permit), Err(error), None),
    }
}

pub(super) fn cancelled(permit: Option<Permit>) -> Answer {
    // The caller wants no answer; the event is written all the same.
    if let Some(permit) = permit {
        let _ = permit.settle(Outcome::Cancelled, 0);
    }
    Answer::Nothing
}

/// Sends the request. A modern server that refuses its headers has changed the
/// tool since it was listed: it is listed anew, and the request made once more
/// (2026-07-28, basic/transports/streamable-http). It has executed nothing.
async fn ask(
    request: &Request,
    destination: &Destination,
    permit: &Permit,
) -> Result<(Exchange, Lease), UpstreamError> {
    let asked = ask_with(request, destination, permit, None).await?;
    match &asked {
        (Exchange::Done(answer), lease) if is_header_mismatch(answer, lease.greeting().era) => {
            Box::pin(ask_as_listed_now(request, destination, permit, asked)).await
        }
        _ => Ok(asked),
    }
}

fn is_header_mismatch(answer: &Message, era: Era) -> bool {
    era == Era::Modern
        && answer.kind() == jsonrpc::Kind::Error
        && conclude::code_of(answer) == code::HEADER_MISMATCH
}

async fn ask_as_listed_now(
    request: &Request,
    destination: &Destination,
    permit: &Permit,
    refused: (Exchange, Lease),
) -> Result<(Exchange, Lease), UpstreamError> {
    let Some(known) = &destination.target else { return Ok(refused) };
    match request.hub.tool_listed_anew(request, &refused.1.key(), &destination.shown).await {
        Some(target) if target.mirrored != known.mirrored => {
            drop(refused);
            let destination = Destination { target: Some(target), ..destination.clone() };
            ask_with(request, &destination, permit, None).await
        }
        _ => Ok(refused),
    }
}

/// Makes a modern server's request again, with the answers that it asked for.
pub(super) async fn ask_again(
    request: &Request,
    destination: &Destination,
    permit: &Permit,
    members: &str,
) -> Result<(Exchange, Lease), UpstreamError> {
    ask_with(request, destination, permit, Some(members)).await
}

/// Sends the request. A server that forgot its session is asked once more in
/// a new one: it has executed nothing.
async fn ask_with(
    request: &Request,
    destination: &Destination,
    permit: &Permit,
    members: Option<&str>,
) -> Result<(Exchange, Lease), UpstreamError> {
    let (key, lease) = match destination.task.key() {
        Some(key) => (InstanceKey::clone(key), request.hub.upstreams.connection(key).await?),
        None => request.hub.connection(&destination.server, request).await?,
    };
    let sent = lease.call(permit, outgoing(request, destination, &lease, members)).await;
    match sent {
        Err(UpstreamError::SessionLost) => {
            drop(lease);
            let lease = request.hub.upstreams.connection(&key).await?;
            let exchange = lease.call(permit, outgoing(request, destination, &lease, members)).await?;
            Ok((exchange, lease))
        }
        sent => Ok((sent?, lease)),
    }
}

/// The request as the server shall see it: the caller's bytes, with the
/// server's own name in them and this hop's `_meta`.
fn outgoing(request: &Request, destination: &Destination, lease: &Lease, members: Option<&str>) -> Outgoing {
    let id = upstream::next_id();
    let params = request.params();
    let method = request.message.method().unwrap_or_default();
    let own;
    let mut edits = Vec::with_capacity(3);
    if destination.own != destination.shown
        && let Some(place) = &destination.place
    {
        own = text(&destination.own);
        edits.push((place.clone(), own.as_str()));
    }
    if let Some(Back::Servers(place, state)) = &destination.back {
        edits.push((place.clone(), state.as_str()));
    }
    let era = lease.greeting().era;
    let fresh = fresh_meta(request, era, destination.task.progress_token().unwrap_or(id));
    if let Some((place, meta)) = &fresh {
        edits.push((place.clone(), meta.as_str()));
    }
    edits.extend(destination.task.edit(request.era, era, params));
    edits.sort_by_key(|(place, _)| (place.start, place.end));
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{},\"params\":", text(method));
    let growth: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut body = String::with_capacity(head.len() + params.len() + growth + 1);
    body.push_str(&head);
    match members {
        None if matches!(destination.back, Some(Back::Hubs)) => {
            let without = |params: String, key| cut(&params, key).unwrap_or(params);
            let answers = ["inputResponses", "requestState"];
            body.push_str(&answers.into_iter().fold(splice(params, &edits), without));
        }
        None => splice_into(&mut body, params, &edits),
        Some(members) => body.push_str(&with_members(&splice(params, &edits), members)),
    }
    body.push('}');
    let is_about_task = matches!(destination.task, Role::About(_));
    let named = is_about_task || matches!(method, "tools/call" | "prompts/get" | "resources/read");
    Outgoing {
        id,
        method: method.to_owned(),
        body: Bytes::from(body),
        name: if named { Some(destination.own.clone()) } else { name_as_given(request, destination) },
        param_headers: param_headers(destination, era, params),
    }
}

/// What a client says in `Mcp-Name` of a method that the hub does not know.
fn name_as_given(request: &Request, destination: &Destination) -> Option<String> {
    let header = (destination.kind == Kind::Server).then(|| request.param_headers.get(NAME_HEADER)).flatten();
    modern::decoded(header?.to_str().ok()?)
}

/// The headers that a modern server wants beside a tool's arguments.
fn param_headers(destination: &Destination, era: Era, params: &str) -> Vec<(String, String)> {
    match &destination.target {
        Some(target)
            if era == Era::Modern
                && !target.mirrored.is_empty()
                && !matches!(destination.task, Role::About(_)) =>
        {
            let arguments = Fields::find(params, ["arguments"]).ok().and_then(|fields| fields.raw(0));
            // What cannot be repeated was refused on its way here.
            mirrored::headers(&target.mirrored, arguments).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The edit that gives the request this hop's `_meta`; none when the
/// caller's can pass as it is.
fn fresh_meta(request: &Request, era: Era, token: u64) -> Option<(std::ops::Range<usize>, String)> {
    let params = request.params();
    if era == Era::Legacy && !may_have_meta(params) {
        return None;
    }
    let fields = Fields::find(params, ["_meta"]).ok()?;
    let original = fields.raw(0);
    if era == Era::Legacy && original.is_none_or(meta::may_pass_as_is) {
        return None;
    }
    let progress = original.and_then(meta::progress_token).map(|_| token);
    let client_info = original.and_then(client_info_of);
    let level = log_level_of(request, original);
    let capabilities = match request.era {
        Era::Modern => Cow::Borrowed(request.declared()),
        Era::Legacy => offered(request.declared()),
    };
    let hop = meta::ModernHop { client_info, capabilities: &capabilities, log_level: level.as_deref() };
    let new = meta::rewritten(original, progress, (era == Era::Modern).then_some(&hop))
        .unwrap_or_else(|| "{}".to_owned());
    match fields.range(0) {
        Some(range) => Some((range, new)),
        None => {
            let rest = params.get(1..).unwrap_or_default().trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            Some((1..1, format!("\"_meta\":{new}{comma}")))
        }
    }
}

fn client_info_of(meta: &str) -> Option<&str> {
    Fields::find(meta, [crate::jsonrpc::meta::CLIENT_INFO]).ok()?.raw(0)
}

/// The log level that the client wants on this request: a modern client says
/// so in `_meta`, a legacy client has said so for its session.
pub(super) fn log_level_of(request: &Request, meta: Option<&str>) -> Option<String> {
    match (&request.session, request.era) {
        (_, Era::Modern) => {
            let fields = Fields::find(meta?, [crate::jsonrpc::meta::LOG_LEVEL]).ok()?;
            fields.string(0).ok()?.map(Cow::into_owned)
        }
        (Some(session), Era::Legacy) => {
            super::logging::name_of(session.subscriber.log_level()).map(str::to_owned)
        }
        (None, Era::Legacy) => None,
    }
}

/// How a server's failure reads to a caller: which server, what happened,
/// whether trying again is safe.
pub(super) fn upstream_error(server: &ServerName, error: &UpstreamError) -> RpcError {
    let (kind, retry_is_safe) = match error {
        UpstreamError::Unreachable { .. } => ("unreachable", true),
        UpstreamError::Handshake { .. } => ("handshake_failed", true),
        UpstreamError::NeedsConsent { .. } => ("needs_consent", true),
        UpstreamError::SessionLost => ("session_lost", true),
        UpstreamError::Busy { .. } => ("busy", true),
        UpstreamError::Closed { .. } => ("connection_lost", false),
        UpstreamError::Protocol { .. } => ("not_mcp", false),
        UpstreamError::TooLarge { .. } => ("too_large", false),
        UpstreamError::TimedOut { .. } => ("timed_out", false),
    };
    let data = format!(
        "{{\"server\":{},\"kind\":\"{kind}\",\"retryIsSafe\":{retry_is_safe}}}",
        text(server.as_str())
    );
    RpcError::new(code::INTERNAL_ERROR, format!("Server {server}: {error}")).data(data)
}
