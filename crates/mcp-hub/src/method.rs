//! One file for each thing a client can ask.

mod asking;
mod call;
mod capability;
mod complete;
mod conclude;
mod consent;
mod extension;
mod follow_tasks;
mod forward;
mod greet;
mod hidden_task;
mod list;
mod listen;
mod logging;
mod meta;
mod notify;
mod patience;
mod patiently;
mod prompt;
mod relay;
mod resource;
mod scope;
mod skills;
mod subscribe;
mod suspend;
mod task;
mod task_list;
mod url_elicitation;

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue, StatusCode};
use trunkline_model::{Action, Caller, Decision, Reason, Timestamp};
use trunkline_profiles::{Asked, EffectiveProfile, Kind, RefusedRequest};
use uuid::Uuid;

use crate::Hub;
use crate::bridge::declared::offered;
use crate::catalog::ListKind;
use crate::downstream::answer::{Answer, RpcError};
use crate::downstream::session::Session;
use crate::jsonrpc::meta::CLIENT_CAPABILITIES;
use crate::jsonrpc::{Fields, Message, code};
use crate::upstream::{Era, Offer};

pub(crate) use listen::Listening;
pub(crate) use suspend::Parked;

/// One request of a caller, with everything that was proved about it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub hub: Arc<Hub>,
    pub profile: Arc<EffectiveProfile>,
    pub caller: Caller,
    pub message: Message,
    pub request_id: Uuid,
    pub arrived: Timestamp,
    /// What the client calls the hub.
    pub host: Option<HeaderValue>,
    /// The era that the client speaks.
    pub era: Era,
    /// The session of a legacy client.
    pub session: Option<Arc<Session>>,
    /// Whether the client takes an event stream as the answer.
    pub takes_stream: bool,
    /// Whether the client takes a body compressed with gzip.
    pub takes_gzip: bool,
    /// The headers with which a modern client repeats arguments of a tool.
    pub param_headers: HeaderMap,
    /// See [`Request::offer`].
    pub offer: OnceLock<Offer>,
}

impl Request {
    /// The id as the client wrote it.
    pub(crate) fn id(&self) -> &str {
        self.message.id().unwrap_or("null")
    }

    pub(crate) fn params(&self) -> &str {
        self.message.payload().unwrap_or("{}")
    }

    fn fields<const N: usize>(&self, keys: [&'static str; N]) -> Result<Fields<'_, N>, RpcError> {
        Fields::find(self.params(), keys).map_err(|fault| invalid(fault.to_string()))
    }

    /// What the client said that it can be asked for: a modern client with
    /// each request, a legacy client when its session began. Raw JSON.
    pub(crate) fn declared(&self) -> &str {
        let declared = match (&self.session, self.era) {
            (_, Era::Modern) => {
                meta_of(self).and_then(|members| Fields::find(members, [CLIENT_CAPABILITIES]).ok()?.raw(0))
            }
            (session, Era::Legacy) => session.as_ref().map(|session| session.capabilities()),
        };
        declared.unwrap_or("{}")
    }

    /// What legacy servers are told that the client can be asked for.
    pub(crate) fn offer(&self) -> Offer {
        let offer = || match (&self.session, self.era) {
            (Some(session), Era::Legacy) => session.offer(),
            _ => Offer::new(&offered(self.declared())),
        };
        self.offer.get_or_init(offer).clone()
    }

    fn asked(&self, kind: Kind, action: Action) -> Asked {
        Asked {
            tool: action.shown_as.as_ref().or(action.target.as_ref()).filter(|_| kind == Kind::Tool).cloned(),
            request_id: self.request_id,
            arrived: self.arrived,
            kind,
            action,
            request_bytes: self.params().len() as u64,
        }
    }

    fn action(&self, server: Option<trunkline_model::ServerName>, target: Option<String>) -> Action {
        Action {
            method: self.message.method().unwrap_or_default().to_owned(),
            server,
            target,
            shown_as: None,
        }
    }

    /// Answers with `error` after the refusal is in the audit trail.
    fn refuse(&self, reason: Reason, target: Option<String>, error: &RpcError) -> Answer {
        let refused = RefusedRequest {
            request_id: self.request_id,
            arrived: self.arrived,
            profile: Some(self.profile.name().clone()),
            caller: Some(self.caller.principal().clone()),
            action: self.action(None, target),
            decision: Decision::deny(reason),
            detail: error.message.clone(),
            request_bytes: self.params().len() as u64,
        };
        match self.hub.guard.refuse(refused) {
            Ok(()) => error.answer(Some(self.id())),
            Err(_) => audit_unavailable().answer(Some(self.id())),
        }
    }
}

fn invalid(message: impl Into<String>) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, message)
}

/// The trail cannot be written: nothing may leave.
fn audit_unavailable() -> RpcError {
    RpcError::new(
        code::INTERNAL_ERROR,
        "the audit trail cannot be written, so the answer is withheld; see the hub's log",
    )
    .status(StatusCode::SERVICE_UNAVAILABLE)
}

/// Answers one request.
pub(crate) async fn dispatch(request: Request) -> Answer {
    // What runs on behind an answer shares it.
    let request = Arc::new(request);
    let method = request.message.method().unwrap_or_default();
    let modern = request.era == Era::Modern;
    if let Some(refused) = scope::refused(&request, method) {
        return refused;
    }
    match method {
        "tools/call" => Box::pin(call::answer(&request)).await,
        "tools/list" => list::answer(&request, ListKind::Tools).await,
        "prompts/list" => list::answer(&request, ListKind::Prompts).await,
        "resources/list" => list::answer(&request, ListKind::Resources).await,
        "resources/templates/list" => list::answer(&request, ListKind::Templates).await,
        "prompts/get" => Box::pin(prompt::answer(&request)).await,
        "resources/read" => Box::pin(resource::read(&request)).await,
        "skills/list" | "skills/get" | "resources/directory/read" => {
            Box::pin(skills::answer(&request, method)).await
        }
        "completion/complete" => Box::pin(complete::answer(&request)).await,
        "tasks/get" | "tasks/cancel" => Box::pin(task::answer(&request, method)).await,
        "tasks/update" if modern => Box::pin(task::answer(&request, method)).await,
        "tasks/result" if !modern => Box::pin(task::answer(&request, method)).await,
        "tasks/list" if !modern => Box::pin(task_list::answer(&request)).await,
        "server/discover" if modern => greet::discover(&request),
        "ping" if !modern => Answer::result(request.id(), &b"{}"[..]),
        "resources/subscribe" if !modern => Box::pin(subscribe::subscribe(&request)).await,
        "resources/unsubscribe" if !modern => subscribe::unsubscribe(&request),
        "logging/setLevel" if !modern => logging::set_level(&request),
        _ => Box::pin(extension::answer(&request, method)).await,
    }
}

fn unknown_method(request: &Request, method: &str) -> Answer {
    request.refuse(Reason::BadRequest, None, &method_not_found(request.era, method))
}

fn method_not_found(era: Era, method: &str) -> RpcError {
    let status = if era == Era::Modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
    RpcError::new(code::METHOD_NOT_FOUND, format!("Method not found: {method}")).status(status)
}

pub(crate) use greet::initialize;
pub(crate) use logging::{passes_number, set_level_request};
pub(crate) use notify::take as take_notification;
pub(crate) use scope::refused as refused_for_scope;

/// The raw `_meta` of a request.
fn meta_of(request: &Request) -> Option<&str> {
    Fields::find(request.params(), ["_meta"]).ok()?.raw(0)
}
