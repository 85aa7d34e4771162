//! Calls in a legacy session whose client can be asked something.
//!
//! What a server asks in the course of a call should come on the call's own
//! stream (2025-11-25, basic/transports), but servers written with the SDKs ask
//! on the session's other stream as well, where nothing names the call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use tokio::task::AbortHandle;

use super::exchange::{Begun, begin, cancel, reply_over};
use super::{Failure, Wire, reply_to};
use crate::bridge::task;
use crate::jsonrpc::Message;
use crate::upstream::pending::{First, Pending, may_ask};
use crate::upstream::{Exchange, OpenExchange, Outgoing, UpstreamError};

/// How long the first call waits for the session's stream. Some servers show
/// that it is open only with its first event.
const STREAM_PATIENCE: Duration = Duration::from_millis(500);

/// The calls of one session that are under way.
#[derive(Debug)]
pub(super) struct Asking {
    pending: Mutex<Pending>,
    /// Set once the session's stream is open, or will not be.
    listening: SetOnce<()>,
    /// Set once the server has asked outside of a call's stream: from then on
    /// calls take turns, so that each question has one that caused it.
    asks: AtomicBool,
    turn: Arc<Semaphore>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            pending: Mutex::default(),
            listening: SetOnce::new(),
            asks: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Asking {
    /// Notes that the server has answered whether it has a stream for the session.
    pub(super) fn set_listening(&self) {
        // Only the first time counts.
        let _ = self.listening.set(());
    }

    /// Waits for that, once: the SDKs drop a question when no stream is open for it.
    async fn until_listening(&self) {
        if !self.listening.initialized() {
            let _ = tokio::time::timeout(STREAM_PATIENCE, self.listening.wait()).await;
            self.set_listening();
        }
    }

    /// Brings a question to the call that caused it, once that is known. Gives
    /// back what no call can have caused.
    pub(super) async fn ask(&self, wire: &Wire, question: Message) -> Option<Message> {
        let names_task = task::named_by(&question).is_some();
        let of_no_call = self.pending().ask(question);
        if of_no_call.is_none() {
            if !names_task {
                self.asks.store(true, Ordering::Release);
            }
            self.refuse(wire).await;
        }
        of_no_call
    }

    /// Answers the questions of which nobody can know who caused them.
    async fn refuse(&self, wire: &Wire) {
        let refused = self.pending().take_refused();
        for question in refused {
            wire.notify_aside("reply", reply_to(&question)).await;
        }
    }

    /// Gives a call its answer.
    async fn end(&self, wire: &Wire, id: u64, answer: Result<Message, Failure>) {
        self.pending().answer(id, answer.map_err(|failure| failure.of_call(wire)));
        self.refuse(wire).await;
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if !self.asks.load(Ordering::Acquire) {
            return None;
        }
        // The semaphore is never closed.
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a request and waits for its answer, or for what comes before it, on
/// its own stream or on the session's.
pub(super) async fn run(
    wire: &Arc<Wire>,
    asking: &Arc<Asking>,
    outgoing: Outgoing,
) -> Result<Exchange, UpstreamError> {
    let id = outgoing.id;
    asking.until_listening().await;
    let turn = if may_ask(&outgoing.method) { asking.turn().await } else { None };
    let mut waiting = {
        let mut pending = asking.pending();
        let waiting =
            pending.add(id, &outgoing.method, outgoing.name.clone()).ok_or(UpstreamError::SessionLost)?;
        pending.mark_sent(id);
        waiting
    };
    let (owned_wire, owned_asking) = (Arc::clone(wire), Arc::clone(asking));
    let mut guard = CancelOnDrop { wire: owned_wire, asking: owned_asking, id, reader: None, _turn: turn };
    let owned_wire = Arc::clone(wire);
    let mut beginning = Box::pin(async move { begin(&owned_wire, &outgoing).await });
    let asked = tokio::select! {
        biased;
        begun = &mut beginning => {
            // Of most calls nothing is asked: they need no task.
            match begun {
                Ok(Begun::Done(answer)) => asking.end(wire, id, Ok(answer)).await,
                Err(failure) => asking.end(wire, id, Err(failure)).await,
                begun => guard.read(async { begun }),
            }
            None
        }
        first = &mut waiting => Some(first),
    };
    let first = match asked {
        Some(first) => {
            guard.read(beginning);
            first
        }
        None => waiting.await,
    };
    match first {
        Ok(First::Answer(answer)) => answer.map(Exchange::Done),
        Ok(First::Stream(messages)) => {
            Ok(Exchange::Open(OpenExchange::new(messages, reply_over(wire), move || drop(guard))))
        }
        Err(_) => Err(UpstreamError::Closed { reason: "the call was given up".to_owned() }),
    }
}

/// Reads the call's own stream to its answer.
async fn read(
    wire: Arc<Wire>,
    asking: Arc<Asking>,
    id: u64,
    beginning: impl Future<Output = Result<Begun, Failure>> + Send,
) {
    let answer = match beginning.await {
        Ok(Begun::Done(answer)) => Ok(answer),
        Ok(Begun::Open(first, mut answers)) => {
            let mut next = Ok(first);
            while let Ok(message) = next {
                if message.method().is_none() {
                    next = Ok(message);
                    break;
                }
                asking.pending().notify(id, message);
                asking.refuse(&wire).await;
                next = answers.next().await;
            }
            next
        }
        Err(failure) => Err(failure),
    };
    asking.end(&wire, id, answer).await;
}

/// Cancels its call when it is dropped before the answer.
#[derive(Debug)]
struct CancelOnDrop {
    wire: Arc<Wire>,
    asking: Arc<Asking>,
    id: u64,
    /// Of the task that reads the call's stream.
    reader: Option<AbortHandle>,
    /// Given back with the call.
    _turn: Option<OwnedSemaphorePermit>,
}

impl CancelOnDrop {
    fn read(&mut self, beginning: impl Future<Output = Result<Begun, Failure>> + Send + 'static) {
        let task = read(Arc::clone(&self.wire), Arc::clone(&self.asking), self.id, beginning);
        self.reader = Some(tokio::spawn(task).abort_handle());
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.asking.pending().forget(self.id) {
            return;
        }
        if let Some(reader) = &self.reader {
            reader.abort();
        }
        cancel(&self.wire, self.id);
        // Without a runtime the process ends, and its links with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (wire, asking) = (Arc::clone(&self.wire), Arc::clone(&self.asking));
            runtime.spawn(async move { asking.refuse(&wire).await });
        }
    }
}
