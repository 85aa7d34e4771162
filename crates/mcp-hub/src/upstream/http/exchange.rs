//! One request and all that comes back for it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::answer::Answer;
use super::answers::Answers;
use super::{Failure, Wire, reply_to};
use crate::jsonrpc::{Kind, Message};
use crate::upstream::{Exchange, OpenExchange, Outgoing, Reply, UpstreamError};

/// Messages of one exchange that wait for its reader; further notifications are dropped.
const QUEUED_MESSAGES: usize = 64;

/// Sends a request and waits for its answer, or for what comes before it.
pub(super) async fn run(wire: &Arc<Wire>, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
    let mut abandoned = CancelWhenAbandoned { wire, id: Some(outgoing.id) };
    let begun = begin(wire, &outgoing).await;
    abandoned.id = None;
    match begun.map_err(|failure| failure.of_call(wire))? {
        Begun::Done(answer) => Ok(Exchange::Done(answer)),
        Begun::Open(first, answers) => Ok(Exchange::Open(open(wire, outgoing.id, first, answers))),
    }
}

pub(super) enum Begun {
    Done(Message),
    Open(Message, Box<Answers>),
}

pub(super) async fn begin(wire: &Arc<Wire>, outgoing: &Outgoing) -> Result<Begun, Failure> {
    let response = wire.request(outgoing).await?;
    let stream = match wire.read(outgoing.id, response).await? {
        Answer::Message(answer) => return Ok(Begun::Done(answer)),
        Answer::Stream(stream) => stream,
    };
    let mut answers = Answers::new(Arc::clone(wire), outgoing.id, stream);
    // On the heap, like refusals: the future of a plain answer is moved often and stays small.
    let first = Box::pin(answers.next()).await?;
    if first.method().is_none() {
        return Ok(Begun::Done(first));
    }
    Ok(Begun::Open(first, Box::new(answers)))
}

fn open(wire: &Arc<Wire>, id: u64, first: Message, answers: Box<Answers>) -> OpenExchange {
    let (sender, receiver) = mpsc::channel(QUEUED_MESSAGES);
    // The queue is new and empty.
    let _ = sender.try_send(Ok(first));
    tokio::spawn(feed(answers, sender, Arc::clone(wire)));
    let reply = reply_over(wire);
    let wire = Arc::clone(wire);
    OpenExchange::new(receiver, reply, move || cancel(&wire, id))
}

/// Answers of the client go to the server by a POST of their own (2025-11-25,
/// basic/transports).
pub(in crate::upstream) fn reply_over(wire: &Arc<Wire>) -> Reply {
    let wire = Arc::clone(wire);
    Reply::new(move |answer| {
        // Without a runtime the process ends, and its links with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let wire = Arc::clone(&wire);
            runtime.spawn(async move { wire.notify_aside("reply", answer).await });
        }
    })
}

/// Moves messages to the exchange until its answer, or until nobody waits for
/// it: then the stream is closed, which cancels a modern request.
async fn feed(
    mut answers: Box<Answers>,
    sender: mpsc::Sender<Result<Message, UpstreamError>>,
    wire: Arc<Wire>,
) {
    loop {
        let next = tokio::select! {
            next = answers.next() => next,
            () = sender.closed() => return,
        };
        match next {
            Ok(message) if message.method().is_some() => {
                let refusal = (message.kind() == Kind::Request).then(|| reply_to(&message));
                if sender.try_send(Ok(message)).is_err() {
                    if let Some(refusal) = refusal {
                        wire.notify_aside("reply", refusal).await;
                    }
                    tracing::debug!(server = %wire.server, "dropped a notification of a slow exchange");
                }
            }
            last => {
                let last = last.map_err(|failure| failure.of_call(&wire));
                // Nobody waits any more when this fails.
                let _ = sender.send(last).await;
                return;
            }
        }
    }
}

/// Cancels the request when whoever waits for its first message stops waiting.
struct CancelWhenAbandoned<'a> {
    wire: &'a Arc<Wire>,
    id: Option<u64>,
}

impl Drop for CancelWhenAbandoned<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            cancel(self.wire, id);
        }
    }
}

/// Tells a legacy server that nobody waits for the request `id`. In the modern
/// era closing the stream says so; in the legacy era that means nothing
/// (2025-11-25, basic/transports).
pub(in crate::upstream) fn cancel(wire: &Arc<Wire>, id: u64) {
    if wire.is_modern() {
        return;
    }
    // Without a runtime the process ends, and its links with it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let wire = Arc::clone(wire);
        runtime.spawn(async move { wire.notify_aside("cancellation", cancelled(id)).await });
    }
}

/// `notifications/cancelled` for the request `id`.
fn cancelled(id: u64) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#).into()
}
