//! A legacy server asks a modern client: the call waits at the server while
//! the client is told by a result what to answer, and comes back with it
//! (2026-07-28, basic/patterns/mrtr).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trunkline_model::{Identity, Outcome};
use trunkline_profiles::Permit;
use uuid::Uuid;

use super::forward::{self, Destination};
use super::patience::{Patience, for_task};
use super::patiently::patiently;
use super::relay::{Relay, Step};
use super::{Request, audit_unavailable, conclude, invalid, meta};
use crate::bridge::{input, state};
use crate::downstream::answer::{Answer, RpcError, result_message};
use crate::jsonrpc::{Fields, Message, code, splice};

/// Questions that come within this time of each other are asked together.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Questions that one call may have open.
const MOST_QUESTIONS: usize = 16;

/// Something that a legacy server asked.
#[derive(Debug)]
pub(crate) struct Question {
    /// What the client knows it by.
    key: String,
    /// The server's id of it, as raw JSON.
    server_id: String,
    method: String,
    /// Raw JSON.
    params: Option<String>,
}

/// A call that waits for its client, and for what.
#[derive(Debug)]
pub(crate) struct Parked {
    relay: Relay,
    questions: Vec<Question>,
}

impl Parked {
    /// Whose call it is.
    pub(crate) fn identity(&self) -> &Identity {
        self.relay.request.caller.identity()
    }
}

impl Question {
    pub(super) fn of(message: &Message, destination: &Destination) -> Self {
        Self {
            key: format!("ask-{}", Uuid::now_v7().simple()),
            server_id: message.id().unwrap_or("null").to_owned(),
            method: message.method().unwrap_or_default().to_owned(),
            params: message.payload().map(|params| without_hop(&destination.params_shown(params))),
        }
    }
}

/// The parameters of a question, less what their `_meta` says of the hop from
/// the server to the hub.
fn without_hop(params: &str) -> String {
    let Ok(fields) = Fields::find(params, ["_meta"]) else { return params.to_owned() };
    let (Some(members), Some(place)) = (fields.raw(0), fields.range(0)) else { return params.to_owned() };
    let passing = meta::rewritten(Some(members), None, None).unwrap_or_else(|| "{}".to_owned());
    splice(params, &[(place, &passing)])
}

impl Relay {
    /// [`Self::suspend`], with what else the server asks at the same time: its
    /// questions come one after the other, and the client is asked once.
    pub(super) async fn suspend_with_more(mut self, first: Question) -> Answer {
        let mut questions = vec![first];
        while questions.len() < MOST_QUESTIONS
            && let Ok(step) = timeout(AT_ONCE, self.step()).await
        {
            match step {
                Step::Suspended(question) => questions.push(question),
                // The client has no stream on which it would see them.
                Step::Forward(_) | Step::Skip => {}
                Step::Cancelled => return forward::cancelled(self.permit),
                Step::Ended(error) => return conclude::end(&self.request, self.permit, &error),
                // The server needs no answers after all.
                Step::Answered(answered) => {
                    let lease = Some(&self.lease);
                    return conclude::finish(&self.request, &self.destination, self.permit, answered, lease);
                }
            }
        }
        self.suspend(questions)
    }

    /// Lets the call wait, and asks the client by the answer to its request.
    pub(super) fn suspend(mut self, questions: Vec<Question>) -> Answer {
        let (request, permit) = (Arc::clone(&self.request), self.permit.take());
        let handle = Uuid::now_v7();
        let arguments = arguments_of(&request);
        let of = forward::state_of(&request, &self.destination, arguments.as_deref());
        let sealed = state::seal_handle(&request.hub.state_sealer, of, request.hub.clock.now(), handle);
        let asks = questions
            .iter()
            .map(|question| (question.key.clone(), question.method.clone(), question.params.clone()))
            .collect::<Vec<_>>();
        self.running = None;
        let Some(sealed) = sealed else {
            return conclude::end(&request, permit, &cannot_wait());
        };
        if request.hub.suspended.park(handle, Parked { relay: self, questions }).is_err() {
            return conclude::end(&request, permit, &cannot_wait());
        }
        let result = input::result(&asks, &sealed);
        let bytes = result.len() as u64;
        match permit.map(|permit| permit.settle(Outcome::InputRequired, bytes)) {
            Some(Err(_)) => audit_unavailable().answer(Some(request.id())),
            Some(Ok(())) | None => Answer::ok(result_message(request.id(), result)),
        }
    }
}

/// Goes on with a call that waits, with the answers that its client brings.
/// What is missing is asked for again, and what was not asked for is ignored.
pub(super) async fn resume(
    request: &Arc<Request>,
    destination: &Destination,
    handle: Uuid,
    permit: Permit,
) -> Answer {
    let Some(Parked { mut relay, questions }) = request.hub.suspended.take(handle) else {
        let error =
            invalid("the call that \"requestState\" stands for is over, or goes on already; make it anew");
        return conclude::end(request, Some(permit), &error);
    };
    debug_assert_eq!(relay.destination.server, destination.server);
    let answers = input::responses(request.params());
    let mut missing = Vec::new();
    for question in questions {
        match answers.get(&question.key) {
            Some(answer) => relay.incoming.reply(reply(&question.server_id, answer.get())),
            None => missing.push(question),
        }
    }
    relay.request = Arc::clone(request);
    relay.permit = Some(permit);
    relay.token = super::meta_of(request).and_then(meta::progress_token).map(str::to_owned);
    relay.cancel = CancellationToken::new();
    let each = request.hub.call_timeout(&destination.server);
    relay.patience = Patience::new(if relay.hidden.is_some() { for_task(each) } else { each });
    if !missing.is_empty() {
        return relay.suspend(missing);
    }
    patiently(request, Box::pin(relay.answer())).await
}

fn reply(server_id: &str, result: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{server_id},\"result\":{result}}}").into()
}

pub(super) fn arguments_of(request: &Request) -> Option<String> {
    let fields = Fields::find(request.params(), ["arguments"]).ok()?;
    fields.raw(0).map(str::to_owned)
}

fn cannot_wait() -> RpcError {
    RpcError::new(code::INTERNAL_ERROR, "the server asks something, and too many calls wait for their client")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_loses_what_speaks_of_one_hop_and_nothing_else() {
        let params = r#"{"message":"x","_meta":{"progressToken":3,"vendor/y":1e2},"z":[]}"#;
        assert_eq!(without_hop(params), r#"{"message":"x","_meta":{"vendor/y":1e2},"z":[]}"#);
        assert_eq!(without_hop(r#"{"_meta":{"progressToken":3}}"#), r#"{"_meta":{}}"#);
        assert_eq!(without_hop(r#"{"message":"x"}"#), r#"{"message":"x"}"#);
    }
}
