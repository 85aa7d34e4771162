//! Requests about a task: `tasks/get`, `tasks/update` and `tasks/cancel` of
//! the extension (SEP-2663); `tasks/get`, `tasks/result` and `tasks/cancel` of
//! 2025-11-25 (basic/utilities/tasks). The id says which server has the task.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::asking::lacks;
use super::forward::{self, Destination};
use super::{Request, capability, invalid, meta, unknown_method};
use crate::bridge::declared::{declares_extension, lacking};
use crate::bridge::input::InputRequired;
use crate::bridge::live_tasks::Known;
use crate::bridge::task::{Begun, EXTENSION, REQUIRED, Ticket};
use crate::bridge::task_ids;
use crate::downstream::answer::{Answer, RpcError};
use crate::jsonrpc::{self, Fields, Message, code, member, splice};
use crate::upstream::pool::Lease;
use crate::upstream::{Era, InstanceKey, next_id};

/// What a request has to do with tasks.
#[derive(Debug, Clone, Default)]
pub(super) enum Role {
    #[default]
    None,
    /// A call that may become a task of the client's, when that declared that
    /// it knows tasks; whether it has the member by which legacy clients ask.
    MayBegin { asks: bool },
    /// A call of a tool that runs only as a task, of which the client is to
    /// know nothing.
    RunsHidden(Hidden),
    /// It is about a task.
    About(Arc<About>),
}

/// A task that the hub begins and waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hidden {
    /// Whether the client's parameters have the member that asks for a task.
    pub asks: bool,
    /// The id of the request that waits for the task, and the token of its
    /// progress from the beginning.
    pub result_id: u64,
}

/// The task that a request is about.
#[derive(Debug)]
pub(super) struct About {
    pub ticket: Ticket,
    /// The instance that began it, when it was this process that saw it.
    pub key: Option<Arc<InstanceKey>>,
}

impl Destination {
    /// Parameters of what the server says or asks in the course of the
    /// request, with the id of its task as the client knows it.
    pub(super) fn params_shown<'a>(&self, params: &'a str) -> Cow<'a, str> {
        let shown = match &self.task {
            Role::None | Role::MayBegin { .. } => None,
            Role::RunsHidden(_) => task_ids::unrelated(params),
            Role::About(_) => task_ids::replaced(params, &self.own, &self.shown),
        };
        shown.map_or(Cow::Borrowed(params), Cow::Owned)
    }

    /// What the client answers, with the server's own id of the task.
    pub(super) fn answer_for_server<'a>(&self, answer: &'a str) -> Cow<'a, str> {
        let own = match &self.task {
            Role::None | Role::MayBegin { .. } | Role::RunsHidden(_) => None,
            Role::About(_) => task_ids::replaced(answer, &self.shown, &self.own),
        };
        own.map_or(Cow::Borrowed(answer), Cow::Owned)
    }
}

impl Role {
    /// The role of a tool's call. A modern server decides whether it becomes a
    /// task; a legacy one is asked for that, by its client (`asks`), or by the
    /// hub where the tool cannot be called otherwise (`needs`).
    pub(super) fn of_call(client: Era, asks: bool, needs: bool) -> Self {
        match (client, asks) {
            (Era::Legacy, true) => Self::MayBegin { asks },
            _ if needs => Self::RunsHidden(Hidden { asks, result_id: next_id() }),
            (Era::Modern, _) => Self::MayBegin { asks },
            (Era::Legacy, false) => Self::None,
        }
    }

    /// The token that the server reports progress under, where it is not the
    /// id of the request.
    pub(super) fn progress_token(&self) -> Option<u64> {
        match self {
            Self::RunsHidden(hidden) => Some(hidden.result_id),
            Self::None | Self::MayBegin { .. } | Self::About(_) => None,
        }
    }

    /// What has to change in the parameters of a call, so that it becomes a
    /// task where the hub wants one, and none where only a member of the other
    /// era says so: the modern era has no such member (SEP-2663).
    pub(super) fn edit(
        &self,
        client: Era,
        server: Era,
        params: &str,
    ) -> Option<(std::ops::Range<usize>, &'static str)> {
        match self {
            Self::RunsHidden(Hidden { asks: false, .. }) => Some((1..1, "\"task\":{},")),
            Self::MayBegin { asks: true } if (client, server) == (Era::Modern, Era::Legacy) => {
                Some((member(params, "task")?, ""))
            }
            Self::RunsHidden(_) | Self::MayBegin { .. } | Self::None | Self::About(_) => None,
        }
    }

    /// The task that the hub has to wait for, when an answer begins one.
    pub(super) fn begins(&self, answer: &Message) -> Option<Begun> {
        match self {
            Self::RunsHidden(_) if answer.kind() == jsonrpc::Kind::Result => {
                Begun::read(answer.payload()?, Era::Legacy)
            }
            Self::RunsHidden(_) | Self::MayBegin { .. } | Self::None | Self::About(_) => None,
        }
    }

    /// The tool that the door is asked about, where it is not what the
    /// request names.
    pub(super) fn tool(&self) -> Option<&str> {
        match self {
            Self::About(about) => Some(&about.ticket.tool),
            Self::None | Self::MayBegin { .. } | Self::RunsHidden(_) => None,
        }
    }

    /// The name under which the profile shows that tool.
    pub(super) fn tool_shown(&self) -> Option<&str> {
        match self {
            Self::About(about) => Some(&about.ticket.shown),
            Self::None | Self::MayBegin { .. } | Self::RunsHidden(_) => None,
        }
    }

    /// The instance to ask, where it is not the caller's of this moment.
    pub(super) fn key(&self) -> Option<&Arc<InstanceKey>> {
        match self {
            Self::About(about) => about.key.as_ref(),
            Self::None | Self::MayBegin { .. } | Self::RunsHidden(_) => None,
        }
    }
}

pub(super) async fn answer(request: &Arc<Request>, method: &str) -> Answer {
    if request.era == Era::Modern && !declares_extension(request.declared(), EXTENSION) {
        let view = request.hub.view_now(request);
        if !capability::may_have_extension(&request.profile, &view, EXTENSION) {
            return unknown_method(request, method);
        }
        return request.refuse(Reason::BadRequest, None, &undeclared());
    }
    match destination(request) {
        Ok(destination) => forward::forward(request, destination).await,
        Err(error) => request.refuse(Reason::BadRequest, None, &error),
    }
}

/// What a modern client has to declare before it can speak of tasks.
pub(super) fn undeclared() -> RpcError {
    RpcError::new(
        code::MISSING_CLIENT_CAPABILITY,
        format!("tasks need the extension {EXTENSION}, which this request does not declare"),
    )
    .status(StatusCode::BAD_REQUEST)
    .data(format!("{{\"requiredCapabilities\":{REQUIRED}}}"))
}

/// "There is no such task": never given to this caller here, expired, or gone.
pub(super) fn not_found() -> RpcError {
    invalid("Task not found")
}

fn destination(request: &Request) -> Result<Destination, RpcError> {
    let fields = request.fields(["taskId", "_meta"])?;
    let id = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
    let id = id.ok_or_else(|| invalid("\"taskId\" is missing"))?;
    let about = find(request, &id).ok_or_else(not_found)?;
    let view = request.hub.view_now(request);
    let target = view.tool_of(&about.ticket.server, &about.ticket.tool).cloned();
    Ok(Destination {
        kind: Kind::Tool,
        server: about.ticket.server.clone(),
        own: about.ticket.own.clone(),
        shown: id.into_owned(),
        place: fields.range(0),
        back: None,
        target,
        task: Role::About(Arc::new(about)),
    })
}

/// The task behind an id of the client's.
pub(super) fn find(request: &Request, id: &str) -> Option<About> {
    let ticket = Ticket::open(&request.hub.state_sealer, &request.caller, request.arrived, id)?;
    let known = request.hub.live_tasks.find(&ticket.server, &ticket.own, &request.caller);
    let key = known.map(|known| known.key);
    (ticket.era == request.era).then_some(About { ticket, key })
}

/// A result by which a server says that a call has become a task, with an id
/// of the hub's. None when it does not say so, or the client knows no tasks.
pub(super) fn begun(
    request: &Request,
    destination: &Destination,
    lease: &Lease,
    answer: &Message,
) -> Option<Bytes> {
    let result = answer.payload()?;
    let era = lease.greeting().era;
    let knows = match request.era {
        Era::Modern => declares_extension(request.declared(), EXTENSION),
        Era::Legacy => true,
    };
    let begun = Begun::read(result, era).filter(|_| knows && era == request.era)?;
    let ticket = Ticket {
        server: destination.server.clone(),
        tool: destination.own.clone(),
        shown: destination.shown.clone(),
        own: begun.own.clone(),
        era,
    };
    let (hub, lifetime) = (&request.hub, begun.lifetime());
    let id = ticket.seal(&hub.state_sealer, &request.caller, hub.clock.now(), lifetime)?;
    lease.keep_for(begun.keeps_for());
    let known = Known::new(&request.caller, &id, lease.key(), era, lifetime);
    // The server goes on to report under the token of the call (2025-11-25,
    // basic/utilities/tasks), which is its id.
    let token = super::meta_of(request).and_then(meta::progress_token).filter(|_| era == Era::Legacy);
    hub.live_tasks.remember(&begun.own, known, answer.numeric_id().zip(token));
    task_ids::replaced(result, &begun.own, &id).map(Bytes::from)
}

/// The result of a request about a task as its client shall see it.
///
/// # Errors
/// When the task asks for something that the client did not declare.
pub(super) fn shown(request: &Request, destination: &Destination, result: Bytes) -> Result<Bytes, RpcError> {
    let Ok(text) = std::str::from_utf8(&result) else { return Ok(result) };
    may_ask(request.declared(), text)?;
    let linked = with_links_shown(destination, text);
    let replaced =
        task_ids::replaced(linked.as_deref().unwrap_or(text), &destination.own, &destination.shown);
    Ok(replaced.or(linked).map_or(result, Bytes::from))
}

/// The result of a task that has ended stands within the answer of `tasks/get`.
fn with_links_shown(destination: &Destination, text: &str) -> Option<String> {
    let target = destination.target.as_ref()?;
    let fields = Fields::find(text, ["result"]).ok()?;
    let inner = Bytes::copy_from_slice(fields.raw(0)?.as_bytes());
    let shown = target.with_links_shown(inner.clone());
    (shown != inner).then(|| splice(text, &[(fields.range(0)?, std::str::from_utf8(&shown).ok()?)]).into())?
}

/// A task asks its client as any call does: for what was declared, no more.
///
/// # Errors
/// Names what the client would have to declare.
pub(super) fn may_ask(declared: &str, task: &str) -> Result<(), RpcError> {
    if memchr::memmem::find(task.as_bytes(), b"inputRequests").is_none() {
        return Ok(());
    }
    let asked = InputRequired::read(task).map(|asked| asked.requests).unwrap_or_default();
    let lacking = asked.iter().find_map(|input| lacking(declared, &input.method, input.params.as_deref()));
    lacking.map_or(Ok(()), |required| Err(lacks(required)))
}
