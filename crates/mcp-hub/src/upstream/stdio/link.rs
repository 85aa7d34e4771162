//! The state that a child's tasks and its callers share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::log::{LogRing, LogSource, readable};
use super::redaction::Redaction;
use crate::bridge::task;
use crate::jsonrpc::Message;
use crate::upstream::http::reply_to;
use crate::upstream::pending::{First, Pending, cancelled, may_ask};
use crate::upstream::{
    Events, Exchange, InstanceKey, OpenExchange, Outgoing, Owner, Reply, UpstreamError, ask_aside,
};

/// Messages that wait for the child to read its standard input.
pub(super) const QUEUED_MESSAGES: usize = 64;

/// One message on its way to the child.
#[derive(Debug)]
pub(super) struct Queued {
    /// The request's id; none for notifications and answers.
    pub(super) id: Option<u64>,
    pub(super) body: Bytes,
}

/// What the tasks of one child and its callers share.
#[derive(Debug)]
pub(super) struct Link {
    owner: Owner,
    pub(super) process_id: Option<u32>,
    pub(super) events: Events,
    pub(super) log: Arc<LogRing>,
    pub(super) message_limit: usize,
    /// Rung when a pipe of the child ended, which ends the link.
    pub(super) broken: Notify,
    queue: mpsc::Sender<Queued>,
    pending: Mutex<Pending>,
    /// Set once the child has asked something: from then on requests that may
    /// make it ask take turns, so that each question has one that caused it.
    asks: AtomicBool,
    turn: Arc<Semaphore>,
    last_stderr_line: Mutex<String>,
    redaction: Redaction,
    closed: AtomicBool,
}

impl Link {
    pub(super) fn new(
        owner: Owner,
        process_id: Option<u32>,
        events: Events,
        log: Arc<LogRing>,
        message_limit: usize,
        redaction: Redaction,
    ) -> (Self, mpsc::Receiver<Queued>) {
        let (queue, receiver) = mpsc::channel(QUEUED_MESSAGES);
        let link = Self {
            owner,
            process_id,
            events,
            log,
            message_limit,
            broken: Notify::new(),
            queue,
            pending: Mutex::default(),
            asks: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
            last_stderr_line: Mutex::default(),
            redaction,
            closed: AtomicBool::new(false),
        };
        (link, receiver)
    }

    /// Which instance this is, now.
    pub(super) fn key(&self) -> InstanceKey {
        InstanceKey::clone(&self.owner.key())
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Sends a request and waits for the first thing that comes back.
    pub(super) async fn exchange(self: &Arc<Self>, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        let (guard, waiting) = self.submit(outgoing).await?;
        match waiting.await {
            Ok(First::Answer(answer)) => {
                guard.disarm();
                answer.map(Exchange::Done)
            }
            Ok(First::Stream(messages)) => {
                let link = Arc::clone(self);
                let reply = Reply::new(move |answer| link.reply(answer));
                Ok(Exchange::Open(OpenExchange::new(messages, reply, move || drop(guard))))
            }
            Err(_) => Err(UpstreamError::Closed { reason: "the child is gone".to_owned() }),
        }
    }

    async fn submit(
        self: &Arc<Self>,
        outgoing: Outgoing,
    ) -> Result<(CancelOnDrop, oneshot::Receiver<First>), UpstreamError> {
        let Outgoing { id, method, body, name, .. } = outgoing;
        let turn = if self.asks.load(Ordering::Acquire) && may_ask(&method) {
            // The semaphore is never closed.
            Arc::clone(&self.turn).acquire_owned().await.ok()
        } else {
            None
        };
        // Nothing has left for the child: a new one may be asked instead.
        let waiting = self.pending().add(id, &method, name).ok_or(UpstreamError::SessionLost)?;
        let guard = CancelOnDrop { link: Arc::clone(self), id, armed: true, _turn: turn };
        // The queue ends only with the link, which then fails what waits.
        drop(self.queue.send(Queued { id: Some(id), body }).await);
        Ok((guard, waiting))
    }

    /// Queues a notification, and waits for room in the queue.
    pub(super) async fn notify(&self, body: Bytes) -> Result<(), UpstreamError> {
        let queued = self.queue.send(Queued { id: None, body }).await;
        queued.map_err(|_| UpstreamError::SessionLost)
    }

    /// Queues an answer to the child, unless it does not read what it gets.
    pub(super) fn reply(&self, body: Bytes) {
        if self.queue.try_send(Queued { id: None, body }).is_err() {
            self.note("an answer to the server was dropped: it does not read its standard input");
        }
    }

    /// Brings something that the child asks to the request that caused it, or
    /// to whoever the child serves.
    pub(super) fn asked(self: &Arc<Self>, question: Message) {
        let names_task = task::named_by(&question).is_some();
        let of_no_request = self.pending().ask(question);
        match of_no_request {
            Some(question) => {
                let link = Arc::clone(self);
                let reply = Reply::new(move |answer| link.reply(answer));
                if let Some(answer) = ask_aside(&self.events, self.key(), &question, reply) {
                    self.reply(answer);
                }
            }
            None => {
                if !names_task {
                    self.asks.store(true, Ordering::Release);
                }
                self.refuse_questions();
            }
        }
    }

    /// Answers the questions of which nobody can know who caused them.
    pub(super) fn refuse_questions(&self) {
        let refused = self.pending().take_refused();
        for question in refused {
            self.reply(reply_to(&question));
        }
    }

    /// Whether the message may leave for the child now.
    pub(super) fn may_leave(&self, queued: &Queued) -> bool {
        queued.id.is_none_or(|id| self.pending().mark_sent(id))
    }

    /// Forgets a request and tells the child when it knows of it.
    fn cancel(&self, id: u64) {
        if self.pending().forget(id) {
            // With a full queue the child is far behind and loses little.
            drop(self.queue.try_send(Queued { id: None, body: cancelled(id) }));
        }
        self.refuse_questions();
    }

    /// A line of the child's standard error.
    pub(super) fn stderr_line(&self, text: &[u8]) {
        let text = self.redaction.applied(text);
        self.log.push(LogSource::Stderr, self.process_id, &text);
        if !text.trim_ascii().is_empty() {
            *self.last_stderr_line.lock().unwrap_or_else(PoisonError::into_inner) = readable(&text);
        }
    }

    /// A line of the child's standard output that is no message.
    pub(super) fn stdout_junk(&self, text: &[u8]) {
        self.log.push(LogSource::Stdout, self.process_id, &self.redaction.applied(text));
    }

    /// A line of the hub about the child.
    pub(super) fn note(&self, text: &str) {
        self.log.push(LogSource::Hub, self.process_id, text.as_bytes());
    }

    /// `what`, and the last words of the child.
    pub(super) fn with_last_words(&self, what: &str) -> String {
        let line = self.last_stderr_line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_empty() {
            return what.to_owned();
        }
        let line: String = line.chars().take(300).collect();
        format!("{what}; its last words: {line}")
    }

    /// Fails all that wait and takes no more requests.
    pub(super) fn close(&self, reason: &str) {
        // First, so that whoever sees a failed request sees a closed link.
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.pending().close(reason);
            self.note(reason);
        }
    }
}

/// Cancels its request when it is dropped, as long as nothing has answered.
#[derive(Debug)]
struct CancelOnDrop {
    link: Arc<Link>,
    id: u64,
    armed: bool,
    /// Given back with the request.
    _turn: Option<OwnedSemaphorePermit>,
}

impl CancelOnDrop {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.armed {
            self.link.cancel(self.id);
        }
    }
}
