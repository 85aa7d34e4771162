//! Calls in a legacy session whose client can be asked something.
//!
//! What a server asks in the course of a call should come on the call's own
//! stream (2025-11-25, basic/transports), but servers written with the SDKs ask
//! on the session's other stream as well, where nothing names the call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::exchange::{Begun, begin, cancel, reply_over};
use super::{Wire, reply_to};
use crate::jsonrpc::Message;
use crate::upstream::pending::{First, Pending};
use crate::upstream::{Exchange, OpenExchange, Outgoing, UpstreamError};

/// The calls of one session that are under way.
#[derive(Debug)]
pub(super) struct Asking {
    pending: Mutex<Pending>,
    /// Set once the server has asked outside of a call's stream: from then on
    /// calls take turns, so that each question has one that caused it.
    asks: AtomicBool,
    turn: Arc<Semaphore>,
}

impl Default for Asking {
    fn default() -> Self {
        Self { pending: Mutex::default(), asks: AtomicBool::new(false), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Asking {
    /// Brings a question to the call that caused it, once that is known.
    pub(super) async fn ask(&self, wire: &Wire, question: Message) {
        self.asks.store(true, Ordering::Release);
        self.pending().ask(question);
        self.refuse(wire).await;
    }

    /// Answers the questions of which nobody can know who caused them.
    async fn refuse(&self, wire: &Wire) {
        let refused = self.pending().take_refused();
        for question in refused {
            wire.notify_aside("reply", reply_to(&question)).await;
        }
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
    let turn = asking.turn().await;
    let waiting = {
        let mut pending = asking.pending();
        let waiting = pending.add(id, &outgoing.method).ok_or(UpstreamError::SessionLost)?;
        pending.mark_sent(id);
        waiting
    };
    let driver = tokio::spawn(drive(Arc::clone(wire), Arc::clone(asking), outgoing)).abort_handle();
    let guard = CancelOnDrop { wire: Arc::clone(wire), asking: Arc::clone(asking), id, driver, _turn: turn };
    match waiting.await {
        Ok(First::Answer(answer)) => answer.map(Exchange::Done),
        Ok(First::Stream(messages)) => {
            Ok(Exchange::Open(OpenExchange::new(messages, reply_over(wire), move || drop(guard))))
        }
        Err(_) => Err(UpstreamError::Closed { reason: "the call was given up".to_owned() }),
    }
}

/// Reads the call's own stream to its answer.
async fn drive(wire: Arc<Wire>, asking: Arc<Asking>, outgoing: Outgoing) {
    let id = outgoing.id;
    let answer = match begin(&wire, &outgoing).await {
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
    asking.pending().answer(id, answer.map_err(|failure| failure.of_call(&wire)));
    asking.refuse(&wire).await;
}

/// Cancels its call when it is dropped before the answer.
#[derive(Debug)]
struct CancelOnDrop {
    wire: Arc<Wire>,
    asking: Arc<Asking>,
    id: u64,
    driver: AbortHandle,
    /// Given back with the call.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.asking.pending().forget(self.id) {
            return;
        }
        self.driver.abort();
        cancel(&self.wire, self.id);
        // Without a runtime the process ends, and its links with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (wire, asking) = (Arc::clone(&self.wire), Arc::clone(&self.asking));
            runtime.spawn(async move { asking.refuse(&wire).await });
        }
    }
}
