//! A server asks a legacy client: questions on the client's stream, answers
//! by POST (2025-11-25, client). Of a legacy server they are its requests, of
//! a modern one what its `input_required` asks for.

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use bytes::Bytes;
use uuid::Uuid;

use super::forward;
use super::relay::{Incoming, Relay, Step};
use super::suspend::Question;
use crate::bridge::asked::{self, Open};
use crate::bridge::declared::lacking;
use crate::bridge::input::{InputRequired, retry_members};
use crate::downstream::answer::RpcError;
use crate::jsonrpc::{Fields, Kind, Message, code, text};
use crate::upstream::{Era, within};

/// How often a server may ask in the course of one request.
const MOST_ROUNDS: u32 = 10;

/// What a question is to be answered to.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A request of the server with this id, as raw JSON.
    Request(String),
    /// The input of this key.
    Input(String),
    /// A round in which the server asked for nothing.
    Nothing,
}

/// The questions that a client has open in the course of one request.
#[derive(Default)]
pub(crate) struct Asking {
    open: FuturesUnordered<BoxFuture<'static, (Origin, Option<Message>)>>,
    /// The server's ids of its questions, and the client's.
    ids: Vec<(String, String)>,
    rounds: u32,
    /// The answers of this round by key, as raw JSON.
    answers: Vec<(String, String)>,
    /// What a modern server wants back, as raw JSON.
    state: Option<String>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Asking").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Asking {
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The next answer; to be asked for only while questions are open.
    pub(super) async fn next(&mut self) -> (Origin, Option<Message>) {
        match self.open.next().await {
            Some(answered) => answered,
            None => std::future::pending().await,
        }
    }

    /// What the client hears when the server takes a question back.
    pub(super) fn taken_back(&self, message: &Message) -> Option<Bytes> {
        let params = message.payload()?;
        let fields = Fields::find(params, ["requestId", "reason"]).ok()?;
        let (_, of_client) =
            self.ids.iter().find(|(of_server, _)| Some(of_server.as_str()) == fields.raw(0))?;
        let params = crate::jsonrpc::splice(params, &[(fields.range(0)?, of_client)]);
        Some(Bytes::from(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{params}}}"
        )))
    }

    fn put(&mut self, origin: Origin, open: Open) {
        if let Origin::Request(server_id) = &origin {
            self.ids.push((server_id.clone(), open.id.clone()));
        }
        self.open.push(Box::pin(async move { (origin, open.answer().await) }));
    }
}

impl Relay {
    /// A legacy server asks something.
    pub(super) fn asked(&mut self, message: &Message) -> Step {
        let method = message.method().unwrap_or_default();
        let lacking = lacking(self.request.declared(), method, message.payload());
        match (lacking, self.request.era) {
            (None, Era::Modern) => Step::Suspended(Question::of(message, &self.destination)),
            // Its request cannot be answered without: the client is told what it takes.
            (Some(required), Era::Modern) if required != "{}" => Step::Ended(lacks(required)),
            (Some(_), _) => self.refuse(message, &format!("the client has not declared {method}")),
            (None, Era::Legacy) => {
                let open = self.request.session.as_ref().filter(|_| self.request.takes_stream);
                match open.and_then(|session| session.asked.open()) {
                    Some(open) => {
                        let params = message.payload().map(|params| self.destination.params_shown(params));
                        let question = asked::question(&open.id, method, params.as_deref());
                        let id = message.id().unwrap_or("null").to_owned();
                        self.asking.put(Origin::Request(id), open);
                        self.patience.wait_for_person();
                        Step::Forward(vec![question])
                    }
                    None => self.refuse(message, "the client cannot be asked"),
                }
            }
        }
    }

    fn refuse(&self, message: &Message, reason: &str) -> Step {
        self.incoming.reply(refusal(message.id().unwrap_or("null"), reason));
        Step::Skip
    }

    /// Puts what a modern server asks for to a legacy client.
    pub(super) fn begin_round(&mut self, message: &Message) -> Step {
        self.incoming = Incoming::Nothing;
        self.asking.rounds += 1;
        let asked = message.payload().and_then(InputRequired::read);
        let Some(asked) = asked else { return unreadable() };
        if self.asking.rounds > MOST_ROUNDS {
            return Step::Ended(ended(&format!("the server asked more than {MOST_ROUNDS} times")));
        }
        self.asking.answers.clear();
        self.asking.state = asked.state;
        let mut questions = Vec::with_capacity(asked.requests.len());
        for input in asked.requests {
            let params = input.legacy_params(Uuid::now_v7());
            if lacking(self.request.declared(), &input.method, params.as_deref()).is_some() {
                let method = &input.method;
                return Step::Ended(ended(&format!(
                    "the server asked for {method}, which was not offered to it"
                )));
            }
            let session = self.request.session.as_ref().filter(|_| self.request.takes_stream);
            let Some(open) = session.and_then(|session| session.asked.open()) else {
                return Step::Ended(ended("the server asks something, and the client cannot be asked"));
            };
            questions.push(asked::question(&open.id, &input.method, params.as_deref()));
            self.asking.put(Origin::Input(input.key), open);
        }
        self.patience.wait_for_person();
        if questions.is_empty() {
            // The server wants its state back, no more.
            self.asking.put_nothing();
            return Step::Skip;
        }
        Step::Forward(questions)
    }

    /// Takes one answer of a round; the last one ends it.
    pub(super) async fn round_answered(&mut self, key: String, answer: &Message) -> Step {
        if answer.kind() == Kind::Error {
            let words = answer.payload().unwrap_or_default();
            return Step::Ended(ended(&format!(
                "the client did not give what the server asked for: {words}"
            )));
        }
        self.asking.answers.push((key, answer.payload().unwrap_or("{}").to_owned()));
        if self.asking.is_open() { Step::Skip } else { self.end_round().await }
    }

    /// Makes the request again, with the answers of this round.
    pub(super) async fn end_round(&mut self) -> Step {
        let members = retry_members(&self.asking.answers, self.asking.state.as_deref());
        let Some(permit) = &self.permit else { return unreadable() };
        self.patience.renew();
        let again = forward::ask_again(&self.request, &self.destination, permit, &members);
        let asked = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Step::Cancelled,
            asked = within(self.request.hub.call_timeout(&self.destination.server), again) => asked,
        };
        match asked {
            Ok((exchange, lease)) => {
                self.lease = lease;
                self.incoming = Incoming::of(exchange);
                Step::Skip
            }
            Err(error) => Step::Answered(Err(error)),
        }
    }
}

impl Asking {
    /// A round without questions is answered at once.
    fn put_nothing(&mut self) {
        self.open.push(Box::pin(std::future::ready((Origin::Nothing, None))));
    }
}

/// Whether a modern server asks, by its result, a client that is to be asked
/// on its stream.
pub(super) fn asks_legacy_client(client: Era, server: Era, message: &Message) -> bool {
    (client, server) == (Era::Legacy, Era::Modern)
        && message.kind() == Kind::Result
        && message.payload().is_some_and(|result| {
            let fields = Fields::find(result, ["resultType"]);
            fields.is_ok_and(|fields| fields.raw(0) == Some("\"input_required\""))
        })
}

fn unreadable() -> Step {
    Step::Ended(ended("the server asked for input in a form that cannot be read"))
}

fn ended(reason: &str) -> RpcError {
    RpcError::new(code::INTERNAL_ERROR, reason)
}

/// The answer to a question that the client is not asked, or does not answer.
pub(super) fn refusal(server_id: &str, reason: &str) -> Bytes {
    let (code, reason) = (code::METHOD_NOT_FOUND, text(reason));
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{server_id},\"error\":{{\"code\":{code},\"message\":{reason}}}}}")
        .into()
}

/// The client would have to declare this (2026-07-28, basic, "error codes").
pub(super) fn lacks(required: &str) -> RpcError {
    RpcError::new(
        code::MISSING_CLIENT_CAPABILITY,
        "the server asks for something that the client did not declare",
    )
    .status(http::StatusCode::BAD_REQUEST)
    .data(format!("{{\"requiredCapabilities\":{required}}}"))
}
