//! The way back: the answer, and what comes before it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trunkline_profiles::Permit;
use trunkline_web::Tasks;

use super::forward::{self, Destination};
use super::{Request, audit_unavailable, conclude, logging};
use crate::downstream::answer::Answer;
use crate::downstream::session::Running;
use crate::jsonrpc::{Fields, Message, splice};
use crate::upstream::pool::Lease;
use crate::upstream::{Era, OpenExchange, UpstreamError};

/// When nothing has come for this long the client gets an event stream, whose
/// comments keep the connection alive.
const QUIET: Duration = Duration::from_secs(10);
/// Messages on their way to one client.
const QUEUE: usize = 64;

/// Waits for the answer; turns to an event stream when it takes long. What
/// happens when the client goes away is the era's to say.
pub(super) async fn patiently(
    request: &Request,
    answer: impl Future<Output = Answer> + Send + 'static,
) -> Answer {
    let mut answer = Pending::new(request, Box::pin(answer));
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        () = tokio::time::sleep(QUIET), if request.takes_stream => {}
    }
    let (sender, messages) = mpsc::channel(QUEUE);
    let modern = request.era == Era::Modern;
    request.hub.tasks.spawn(async move {
        let answer = tokio::select! {
            biased;
            () = sender.closed(), if modern => return,
            answer = answer => answer,
        };
        pass_on(answer, &sender).await;
    });
    Answer::Stream(messages)
}

type BoxedAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// An answer under way. Dropped before it is there, a modern client's request
/// is cancelled with it, and a legacy client's runs on by itself: to
/// disconnect is not to cancel (2025-11-25, basic/transports).
struct Pending {
    answer: Option<BoxedAnswer>,
    /// Where it runs on; none for a modern client.
    tasks: Option<Tasks>,
}

impl Pending {
    fn new(request: &Request, answer: BoxedAnswer) -> Self {
        let tasks = (request.era == Era::Legacy).then(|| request.hub.tasks.clone());
        Self { answer: Some(answer), tasks }
    }
}

impl Future for Pending {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(Answer::Nothing) };
        let polled = answer.as_mut().poll(context);
        if polled.is_ready() {
            self.answer = None;
        }
        polled
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let (Some(answer), Some(tasks)) = (self.answer.take(), &self.tasks) {
            tasks.spawn(async move {
                // The client that asked is gone; the trail has the outcome.
                drop(answer.await);
            });
        }
    }
}

async fn pass_on(answer: Answer, sender: &mpsc::Sender<Bytes>) {
    // A closed channel is a client that went away.
    match answer {
        Answer::Message { body, .. } => {
            let _ = sender.send(body.joined()).await;
        }
        Answer::Stream(mut messages) => {
            // Also while nothing comes: that the client closed its stream is
            // seen by dropping ours.
            while let Some(Some(message)) = or_closed(sender, messages.recv()).await {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        }
        Answer::Accepted | Answer::Nothing => {}
    }
}

/// What `next` gives, unless the client goes away first.
async fn or_closed<T>(sender: &mpsc::Sender<Bytes>, next: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = sender.closed() => None,
        next = next => Some(next),
    }
}

/// A request whose answer did not come at once.
pub(super) struct Relay {
    pub request: Arc<Request>,
    pub destination: Destination,
    pub permit: Permit,
    pub lease: Lease,
    pub open: OpenExchange,
    /// The client's own progress token.
    pub token: Option<String>,
    pub cancel: CancellationToken,
    pub running: Option<Running>,
    pub patience: Patience,
}

/// How long a request may go on. Its progress buys time, as the client sees
/// that something happens, but not for ever (2025-11-25, basic/lifecycle,
/// "timeouts").
#[derive(Debug)]
pub(super) struct Patience {
    each: Duration,
    until: Instant,
    longest: Instant,
}

/// With progress, a request may take this many times its server's timeout.
const LONGEST: u32 = 12;

impl Patience {
    /// Begins now; `each` is the server's timeout.
    pub(super) fn new(each: Duration) -> Self {
        let now = Instant::now();
        Self { each, until: now + each, longest: now + each.saturating_mul(LONGEST) }
    }

    fn renew(&mut self) {
        self.until = self.longest.min(Instant::now() + self.each);
    }

    async fn ended(&self) {
        tokio::time::sleep_until(self.until).await;
    }
}

/// What happened next.
enum Step {
    /// Something for the client, before the answer.
    Forward(Bytes),
    /// Nothing that the client should see.
    Skip,
    Cancelled,
    Answered(Result<Message, UpstreamError>),
}

impl Relay {
    /// Waits for what comes first: the answer becomes plain JSON, anything
    /// else opens an event stream for a client that takes one.
    pub(super) async fn answer(mut self) -> Answer {
        loop {
            match self.step().await {
                Step::Forward(message) if self.request.takes_stream => return self.stream(message),
                Step::Forward(_) | Step::Skip => {}
                Step::Cancelled => return forward::cancelled(self.permit),
                Step::Answered(answered) => {
                    let era = self.lease.greeting().era;
                    return conclude::finish(&self.request, &self.destination, self.permit, answered, era);
                }
            }
        }
    }

    fn stream(self, first: Bytes) -> Answer {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let tasks = self.request.hub.tasks.clone();
        tasks.spawn(async move { self.pump(first, sender).await });
        Answer::Stream(receiver)
    }

    async fn pump(mut self, first: Bytes, sender: mpsc::Sender<Bytes>) {
        let _ = sender.send(first).await;
        // A modern client cancels by closing the stream; a legacy client's
        // request runs on without it (2026-07-28 and 2025-11-25, transports).
        let modern = self.request.era == Era::Modern;
        loop {
            let step = tokio::select! {
                biased;
                () = sender.closed(), if modern => Step::Cancelled,
                step = self.step() => step,
            };
            match step {
                Step::Skip => {}
                // A client that does not read must not hold the request for ever.
                Step::Forward(message) => tokio::select! {
                    _ = sender.send(message) => {}
                    () = self.cancel.cancelled() => {}
                    () = self.patience.ended() => {}
                },
                Step::Cancelled => {
                    forward::cancelled(self.permit);
                    return;
                }
                Step::Answered(answered) => {
                    let era = self.lease.greeting().era;
                    let concluded = conclude::conclude(&self.request, &self.destination, answered, era);
                    let pieces = match self.permit.settle(concluded.outcome, concluded.bytes) {
                        Ok(()) => concluded.pieces,
                        Err(_) => audit_unavailable().body(Some(self.request.id())),
                    };
                    // However slowly the client reads, its place at the server is free.
                    drop((self.lease, self.open));
                    let _ = sender.send(pieces.joined()).await;
                    return;
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let next = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Step::Cancelled,
            next = self.open.next() => next,
            () = self.patience.ended() => {
                Err(UpstreamError::TimedOut { seconds: self.patience.each.as_secs() })
            }
        };
        match next {
            Ok(message) if message.method().is_some() => {
                let step = self.notification(&message);
                let is_progress = message.method() == Some("notifications/progress");
                if is_progress && matches!(step, Step::Forward(_)) {
                    self.patience.renew();
                }
                step
            }
            answered => {
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
        match message.method() {
            Some("notifications/progress") => self.progress(message).map_or(Step::Skip, Step::Forward),
            Some("notifications/message") => {
                let wanted = forward::log_level_of(&self.request, super::meta_of(&self.request));
                let passes = match (&wanted, self.request.era) {
                    (None, Era::Modern) => false,
                    (None, Era::Legacy) => true,
                    (Some(level), _) => logging::passes(message.payload(), level),
                };
                if passes { Step::Forward(message.bytes().clone()) } else { Step::Skip }
            }
            _ => Step::Forward(message.bytes().clone()),
        }
    }

    /// Progress under the token that the client gave.
    fn progress(&self, message: &Message) -> Option<Bytes> {
        let token = self.token.as_deref()?;
        let params = message.payload()?;
        let fields = Fields::find(params, ["progressToken"]).ok()?;
        let params = splice(params, &[(fields.range(0)?, token)]);
        Some(Bytes::from(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_stream_ends_when_its_client_goes_away() {
        let (sender, client) = mpsc::channel(QUEUE);
        let (upstream, messages) = mpsc::channel(QUEUE);
        let passing = tokio::spawn(async move { pass_on(Answer::Stream(messages), &sender).await });
        drop(client);
        passing.await.unwrap();
        assert!(upstream.is_closed(), "whoever writes the stream learns of it");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_buys_time_but_not_for_ever() {
        let each = Duration::from_secs(10);
        let start = Instant::now();
        Patience::new(each).ended().await;
        assert_eq!(start.elapsed(), each);
        let start = Instant::now();
        let mut patience = Patience::new(each);
        let mut renewals = 0;
        while tokio::time::timeout(each / 2, patience.ended()).await.is_err() {
            patience.renew();
            renewals += 1;
        }
        assert_eq!(start.elapsed(), each * LONGEST);
        assert!(renewals > LONGEST);
    }
}
