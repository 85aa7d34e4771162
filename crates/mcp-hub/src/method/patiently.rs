//! Waiting for an answer: as long as it takes, with a sign of life on the way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use trunkline_web::Tasks;

use super::Request;
use crate::downstream::answer::Answer;
use crate::upstream::Era;

/// When nothing has come for this long the client gets an event stream, whose
/// comments keep the connection alive.
const QUIET: Duration = Duration::from_secs(10);
/// Messages on their way to one client.
pub(super) const QUEUE: usize = 64;

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
    Answer::Stream(messages, request.session.clone())
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
        Answer::Message { body, .. } | Answer::Challenge { body, .. } => {
            let _ = sender.send(body.joined()).await;
        }
        Answer::Stream(mut messages, _) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_stream_ends_when_its_client_goes_away() {
        let (sender, client) = mpsc::channel(QUEUE);
        let (upstream, messages) = mpsc::channel(QUEUE);
        let passing = tokio::spawn(async move { pass_on(Answer::Stream(messages, None), &sender).await });
        drop(client);
        passing.await.unwrap();
        assert!(upstream.is_closed(), "whoever writes the stream learns of it");
    }
}
