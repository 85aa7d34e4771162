//! The way back of an answer that does not come at once: what comes before
//! it, and what the server asks meanwhile.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trunkline_profiles::Permit;

use super::asking::{Asking, Origin, asks_legacy_client, refusal};
use super::forward::{self, Destination};
use super::hidden_task::HiddenTask;
use super::patience::Patience;
use super::patiently::QUEUE;
use super::suspend::Question;
use super::{Request, audit_unavailable, conclude, logging};
use crate::downstream::answer::{Answer, RpcError};
use crate::downstream::session::Running;
use crate::hub::is_of_instance;
use crate::jsonrpc::{Fields, Kind, Message, splice};
use crate::upstream::pool::Lease;
use crate::upstream::{Era, Exchange, OpenExchange, Reply, UpstreamError};

/// How long a client may take to answer what a call did not wait for.
const LATEST_ANSWER: Duration = Duration::from_mins(15);

/// A request whose answer did not come at once.
#[derive(Debug)]
pub(crate) struct Relay {
    pub request: Arc<Request>,
    pub destination: Destination,
    /// None while the request is suspended.
    pub permit: Option<Permit>,
    pub lease: Lease,
    pub incoming: Incoming,
    /// The client's own progress token.
    pub token: Option<String>,
    pub cancel: CancellationToken,
    pub running: Option<Running>,
    pub patience: Patience,
    pub asking: Asking,
    /// The task that the client knows nothing of.
    pub hidden: Option<HiddenTask>,
}

/// Where the server's next message comes from.
#[derive(Debug)]
pub(crate) enum Incoming {
    Open(OpenExchange),
    /// It is there already.
    Here(Message),
    /// The server waits for the client's answers.
    Nothing,
}

/// What happened next.
pub(super) enum Step {
    /// Something for the client, before the answer.
    Forward(Vec<Bytes>),
    /// Nothing that the client should see.
    Skip,
    Cancelled,
    Answered(Result<Message, UpstreamError>),
    /// The hub ends the request.
    Ended(RpcError),
    /// A modern client is asked by the answer, and comes back.
    Suspended(Question),
}

impl Incoming {
    pub(super) fn of(exchange: Exchange) -> Self {
        match exchange {
            Exchange::Open(open) => Self::Open(open),
            Exchange::Done(message) => Self::Here(message),
        }
    }

    async fn next(&mut self) -> Result<Message, UpstreamError> {
        match self {
            Self::Open(open) => open.next().await,
            Self::Here(_) => match std::mem::replace(self, Self::Nothing) {
                Self::Here(message) => Ok(message),
                Self::Open(_) | Self::Nothing => std::future::pending().await,
            },
            Self::Nothing => std::future::pending().await,
        }
    }

    /// Where answers to what the server asked go, also when the exchange is over.
    fn replies(&self) -> Option<Reply> {
        match self {
            Self::Open(open) => Some(open.reply().clone()),
            Self::Here(_) | Self::Nothing => None,
        }
    }

    /// Answers something that the server asked in the course of the exchange.
    pub(super) fn reply(&self, answer: Bytes) {
        if let Self::Open(open) = self {
            open.reply().send(answer);
        }
    }
}

impl Relay {
    /// Waits for what comes first: the answer becomes plain JSON, anything
    /// else opens an event stream for a client that takes one.
    pub(super) async fn answer(mut self) -> Answer {
        loop {
            match self.step().await {
                Step::Forward(messages) if self.request.takes_stream => return self.stream(messages),
                Step::Forward(_) | Step::Skip => {}
                Step::Cancelled => return forward::cancelled(self.permit),
                Step::Answered(answered) => {
                    let lease = Some(&self.lease);
                    return conclude::finish(&self.request, &self.destination, self.permit, answered, lease);
                }
                Step::Ended(error) => return conclude::end(&self.request, self.permit, &error),
                Step::Suspended(question) => return self.suspend_with_more(question).await,
            }
        }
    }

    fn stream(self, first: Vec<Bytes>) -> Answer {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let tasks = self.request.hub.tasks.clone();
        let session = self.request.session.clone();
        tasks.spawn(async move { Box::pin(self.pump(first, sender)).await });
        Answer::Stream(receiver, session)
    }

    async fn pump(mut self, first: Vec<Bytes>, sender: mpsc::Sender<Bytes>) {
        for message in first {
            let _ = sender.send(message).await;
        }
        // A modern client cancels by closing the stream; a legacy client's
        // request runs on without it (2026-07-28 and 2025-11-25, transports).
        let modern = self.request.era == Era::Modern;
        let last = loop {
            let step = tokio::select! {
                biased;
                () = sender.closed(), if modern => Step::Cancelled,
                step = self.step() => step,
            };
            match step {
                Step::Skip => {}
                // A client that does not read must not hold the request for ever.
                Step::Forward(messages) => {
                    for message in messages {
                        tokio::select! {
                            _ = sender.send(message) => {}
                            () = self.cancel.cancelled() => {}
                            () = self.patience.ended() => {}
                        }
                    }
                }
                Step::Cancelled => {
                    forward::cancelled(self.permit);
                    return;
                }
                Step::Answered(answered) => {
                    self.answer_later();
                    let lease = Some(&self.lease);
                    let concluded = conclude::conclude(&self.request, &self.destination, answered, lease);
                    let settled = self.permit.map(|permit| permit.settle(concluded.outcome, concluded.bytes));
                    let pieces = match settled {
                        Some(Err(_)) => audit_unavailable().body(Some(self.request.id())),
                        Some(Ok(())) | None => concluded.pieces,
                    };
                    // However slowly the client reads, its place at the server is free.
                    drop((self.lease, self.incoming));
                    break pieces.joined();
                }
                Step::Ended(error) => match conclude::end(&self.request, self.permit, &error) {
                    Answer::Message { body, .. } | Answer::Challenge { body, .. } => break body.joined(),
                    Answer::Stream(..) | Answer::Accepted | Answer::Nothing => return,
                },
                Step::Suspended(question) => match self.suspend_with_more(question).await {
                    Answer::Message { body, .. } | Answer::Challenge { body, .. } => break body.joined(),
                    Answer::Stream(..) | Answer::Accepted | Answer::Nothing => return,
                },
            }
        };
        let _ = sender.send(last).await;
    }

    /// What the server asked and its answer did not wait for was about something
    /// else, such as its client's roots: it still gets the client's answers.
    fn answer_later(&mut self) {
        let Some(replies) = self.incoming.replies().filter(|_| self.asking.is_open()) else { return };
        let (mut asking, destination) = (std::mem::take(&mut self.asking), self.destination.clone());
        let answering = async move {
            while asking.is_open() {
                match asking.next().await {
                    (Origin::Request(server_id), Some(answer)) => {
                        let payload = destination.answer_for_server(answer.payload().unwrap_or("{}"));
                        replies.send(crate::bridge::asked::reply(&server_id, &answer, &payload));
                    }
                    (Origin::Request(server_id), None) => {
                        replies.send(refusal(&server_id, "the client's session has ended"));
                    }
                    (Origin::Input(_) | Origin::Nothing, _) => {}
                }
            }
        };
        let tasks = &self.request.hub.tasks;
        tasks.spawn_until_stop(async move { drop(timeout(LATEST_ANSWER, answering).await) });
    }

    pub(super) async fn step(&mut self) -> Step {
        let next = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Step::Cancelled,
            (origin, answer) = self.asking.next(), if self.asking.is_open() => {
                return Box::pin(self.client_answered(origin, answer)).await;
            }
            next = self.incoming.next() => next,
            () = self.patience.ended() => Err(self.patience.timed_out()),
        };
        match next {
            Ok(message) if message.kind() == Kind::Request => self.asked(&message),
            Ok(message) if message.method().is_some() => {
                let step = self.notification(&message);
                let is_progress = message.method() == Some("notifications/progress");
                if is_progress && matches!(step, Step::Forward(_)) && !self.asking.is_open() {
                    self.patience.renew();
                }
                step
            }
            Ok(message) if asks_legacy_client(self.request.era, self.lease.greeting().era, &message) => {
                self.begin_round(&message)
            }
            Ok(message) if self.hidden.is_none() && self.destination.task.begins(&message).is_some() => {
                Box::pin(self.wait_for_task(&message)).await
            }
            answered => {
                if let (Ok(_), Some(hidden)) = (&answered, &mut self.hidden) {
                    hidden.has_ended();
                }
                self.running = None;
                if let Err(error) = &answered {
                    self.lease.failed(error);
                }
                Step::Answered(answered)
            }
        }
    }

    /// What a notification looks like to the client, if it should see it.
    fn notification(&self, message: &Message) -> Step {
        let passed = |message: &Message| Step::Forward(vec![self.shown(message)]);
        match message.method() {
            Some("notifications/progress") => {
                self.progress(message).map_or(Step::Skip, |progress| Step::Forward(vec![progress]))
            }
            Some("notifications/message") => {
                let wanted = forward::log_level_of(&self.request, super::meta_of(&self.request));
                let passes = match (&wanted, self.request.era) {
                    (None, Era::Modern) => false,
                    (None, Era::Legacy) => true,
                    (Some(level), _) => logging::passes(message.payload(), level),
                };
                if passes { passed(message) } else { Step::Skip }
            }
            // Who hears of them is not who happens to call.
            Some(method) if is_of_instance(method) => {
                self.request.hub.heard(&self.lease.key(), message);
                Step::Skip
            }
            // The server takes a question back.
            Some("notifications/cancelled") => {
                self.asking.taken_back(message).map_or(Step::Skip, |word| Step::Forward(vec![word]))
            }
            // It names a page by an id that the modern era does not have.
            Some("notifications/elicitation/complete") if self.request.era == Era::Modern => Step::Skip,
            _ => passed(message),
        }
    }

    /// Progress under the token that the client gave.
    fn progress(&self, message: &Message) -> Option<Bytes> {
        let token = self.token.as_deref()?;
        let params = message.payload()?;
        let fields = Fields::find(params, ["progressToken"]).ok()?;
        let params = splice(params, &[(fields.range(0)?, token)]);
        let params = self.destination.params_shown(&params);
        Some(Bytes::from(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}"
        )))
    }

    /// A notification as it came, but for the id of a task.
    fn shown(&self, message: &Message) -> Bytes {
        let (Some(params), Some(method)) = (message.payload(), message.method()) else {
            return message.bytes().clone();
        };
        match self.destination.params_shown(params) {
            Cow::Borrowed(_) => message.bytes().clone(),
            Cow::Owned(params) => {
                let method = crate::jsonrpc::text(method);
                format!("{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{params}}}").into()
            }
        }
    }

    async fn client_answered(&mut self, origin: Origin, answer: Option<Message>) -> Step {
        let step = match (origin, answer) {
            (Origin::Request(server_id), Some(answer)) => {
                let payload = self.destination.answer_for_server(answer.payload().unwrap_or("{}"));
                self.incoming.reply(crate::bridge::asked::reply(&server_id, &answer, &payload));
                Step::Skip
            }
            (Origin::Input(key), Some(answer)) => self.round_answered(key, &answer).await,
            (Origin::Nothing, _) => self.end_round().await,
            // The session has ended, and its requests are cancelled with it.
            (_, None) => Step::Skip,
        };
        if !self.asking.is_open() {
            self.patience.renew();
        }
        step
    }
}
