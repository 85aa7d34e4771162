//! The event streams of a legacy session, and taking one up again with
//! `Last-Event-ID` (2025-11-25, basic/transports, "resumability and
//! redelivery").
//!
//! The id of an event says of which session it is, of which life of it in this
//! process, of which stream, and which number it has there. Stream 0 is the
//! session's own; each other one is the answer to one request.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use trunkline_model::Timestamp;
use trunkline_web::{Tasks, sse};
use uuid::Uuid;

use super::events::Source;
use super::kept::{Event, Kept, Store};

/// What one session keeps of its streams, in bytes.
const OF_SESSION: usize = 8 << 20;
/// Streams of answers that one session can take up again; older ones are let go of.
const MOST_STREAMS: usize = 64;
/// How long what came on a stream is kept when nobody reads it.
const KEEP_FOR: Duration = Duration::from_mins(5);
/// Versions from this one on know an event without data, with which a stream
/// begins; SDKs of older ones fail at it.
const PRIMED_SINCE: &str = "2025-11-25";

/// The streams of one session.
#[derive(Debug)]
pub(crate) struct Streams {
    /// The session, and its life in this process.
    prefix: String,
    primes: bool,
    own: Arc<Kept>,
    own_is_read: Mutex<Read>,
    answers: Mutex<Answers>,
    stores: [Arc<Store>; 2],
}

#[derive(Debug, Default)]
struct Answers {
    last: u64,
    by_number: BTreeMap<u64, Arc<AnswerStream>>,
}

/// Where a client goes on.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// With the answer to a request.
    Answer(Reader),
    /// With what the session hears, from this number on.
    Own(u64),
    /// With what the session hears from now on: what came since is not known.
    OwnWithGap,
}

/// Why a stream cannot be taken up again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotResumed {
    NotOfSession,
    NotKept,
    Ended,
}

impl Streams {
    /// `session` began its life in this process at `now`.
    pub(crate) fn new(session: Uuid, version: &str, now: Timestamp, of_all: &Arc<Store>) -> Self {
        let (_, tag) = session.as_u64_pair();
        let prefix = format!("{tag:x}.{:x}.", now.as_micros());
        let stores = [Store::new(OF_SESSION), Arc::clone(of_all)];
        let own = Kept::new(format!("{prefix}0."), stores.clone());
        Self {
            prefix,
            primes: version >= PRIMED_SINCE,
            own,
            own_is_read: Mutex::default(),
            answers: Mutex::default(),
            stores,
        }
    }

    /// What was sent on the session's own stream.
    pub(crate) fn own(&self) -> &Arc<Kept> {
        &self.own
    }

    /// What a stream begins with for this client, and the number after it.
    pub(crate) fn priming(&self, kept: &Kept) -> (Option<Bytes>, u64) {
        if !self.primes {
            return (None, kept.next());
        }
        let (number, frame) = kept.prime();
        (Some(frame), number + 1)
    }

    /// What a stream begins with that is taken up after the event `last`: with
    /// its id, so that the client knows it also when this connection breaks
    /// before another event.
    pub(crate) fn reopening(&self, last: &str) -> Bytes {
        if self.primes { sse::event(None, Some(last), b"") } else { sse::comment() }
    }

    /// Begins the stream of an answer; its first event, where the client knows
    /// what to do with it.
    pub(crate) fn open(&self, messages: mpsc::Receiver<Bytes>, tasks: &Tasks) -> (Option<Bytes>, Reader) {
        let mut answers = self.answers();
        answers.last += 1;
        let number = answers.last;
        let kept = Kept::new(format!("{}{number}.", self.prefix), self.stores.clone());
        let (first, next) = self.priming(&kept);
        let stream = Arc::new(AnswerStream::new(kept, messages));
        if answers.by_number.len() >= MOST_STREAMS {
            answers.by_number.pop_first();
        }
        answers.by_number.insert(number, Arc::clone(&stream));
        drop(answers);
        (first, stream.read_from(next, tasks))
    }

    /// Where a client goes on that has seen the event `last`.
    pub(crate) fn resume(&self, last: &str, tasks: &Tasks) -> Result<Resumed, NotResumed> {
        let seen = Seen::read(last, &self.prefix).ok_or(NotResumed::NotOfSession)?;
        let next = seen.event.checked_add(1).ok_or(NotResumed::NotOfSession)?;
        if seen.stream == 0 {
            let is_kept = seen.is_of_this_life && self.own.event(next) != Event::Gone;
            return Ok(if is_kept { Resumed::Own(next) } else { Resumed::OwnWithGap });
        }
        let stream = self.answers().by_number.get(&seen.stream).filter(|_| seen.is_of_this_life).cloned();
        let stream = stream.ok_or(NotResumed::NotKept)?;
        match stream.kept.event(next) {
            Event::Gone => Err(NotResumed::NotKept),
            Event::ToCome if stream.state().ended => Err(NotResumed::Ended),
            Event::ToCome | Event::There(_) => Ok(Resumed::Answer(stream.read_from(next, tasks))),
        }
    }

    /// Forgets what came on streams that nobody has read for a while. Whether
    /// a client reads the session's own is known to who holds that.
    pub(crate) fn sweep(&self, now: Timestamp, own_is_read: bool) {
        let mut own = self.own_is_read.lock().unwrap_or_else(PoisonError::into_inner);
        if !own.is_recent(own_is_read, now) {
            self.own.forget();
        }
        drop(own);
        self.answers().by_number.retain(|_, stream| {
            let mut state = stream.state();
            let connected = state.connected;
            state.read.is_recent(connected, now)
        });
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event id says.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    is_of_this_life: bool,
    stream: u64,
    event: u64,
}

impl Seen {
    /// Reads an id of the session whose ids begin with `prefix` now; none when
    /// it is not of that session.
    fn read(id: &str, prefix: &str) -> Option<Self> {
        let number = |text: &str| {
            let canonical =
                text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            text.parse().ok().filter(|_| canonical)
        };
        let mut parts = id.split('.');
        let mut own = prefix.split('.');
        let is_of_session = parts.next() == own.next();
        let is_of_this_life = parts.next()? == own.next()?;
        let (stream, event) = (number(parts.next()?)?, number(parts.next()?)?);
        (is_of_session && parts.next().is_none()).then_some(Self { is_of_this_life, stream, event })
    }
}

/// The messages that answer one request, read by one connection at a time.
#[derive(Debug)]
struct AnswerStream {
    kept: Arc<Kept>,
    state: Mutex<State>,
    /// Rung when another reader takes over.
    taken_over: Notify,
}

#[derive(Debug)]
struct State {
    messages: mpsc::Receiver<Bytes>,
    /// Grows when another reader takes over; the older one ends.
    reader: u64,
    /// A client reads it.
    connected: bool,
    /// All messages have been taken.
    ended: bool,
    read: Read,
}

/// Whether anybody reads a stream, as a look now and then shows.
#[derive(Debug, Default)]
struct Read {
    /// When it was first seen that nobody does.
    unread_since: Option<Timestamp>,
}

impl Read {
    /// Whether somebody reads it, or did so not long ago.
    fn is_recent(&mut self, is_read: bool, now: Timestamp) -> bool {
        if is_read {
            self.unread_since = None;
            return true;
        }
        now.since(*self.unread_since.get_or_insert(now)) < KEEP_FOR
    }
}

impl AnswerStream {
    fn new(kept: Arc<Kept>, messages: mpsc::Receiver<Bytes>) -> Self {
        let state = State { messages, reader: 0, connected: false, ended: false, read: Read::default() };
        Self { kept, state: Mutex::new(state), taken_over: Notify::new() }
    }

    /// Takes over as the one reader, from this event on.
    fn read_from(self: &Arc<Self>, next: u64, tasks: &Tasks) -> Reader {
        let mut state = self.state();
        state.reader += 1;
        state.connected = true;
        let reader = state.reader;
        drop(state);
        self.taken_over.notify_waiters();
        Reader { stream: Arc::clone(self), reader, next, tasks: tasks.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection that an answer goes to. When it breaks, the answer is
/// awaited all the same, for a client that comes back for it.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: Arc<AnswerStream>,
    reader: u64,
    next: u64,
    tasks: Tasks,
}

impl Reader {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.stream.state();
        if state.reader != self.reader {
            return Poll::Ready(None);
        }
        match self.stream.kept.event(self.next) {
            Event::There(frame) => {
                self.next += 1;
                return Poll::Ready(Some(frame));
            }
            Event::ToCome => {}
            Event::Gone => return Poll::Ready(None),
        }
        let Some(message) = ready!(state.messages.poll_recv(context)) else {
            state.ended = true;
            return Poll::Ready(None);
        };
        let (number, frame) = self.stream.kept.record(&message);
        self.next = number + 1;
        Poll::Ready(Some(frame))
    }
}

impl Source for Reader {
    async fn next(&mut self) -> Option<Bytes> {
        let stream = Arc::clone(&self.stream);
        loop {
            let taken_over = stream.taken_over.notified();
            tokio::select! {
                biased;
                next = poll_fn(|context| self.poll_next(context)) => return next,
                () = taken_over => {}
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        if state.reader != self.reader {
            return;
        }
        state.connected = false;
        if state.ended {
            return;
        }
        // From here on nobody reads, and whoever answers must not wait for that.
        state.reader += 1;
        let drain = Drain { stream: Arc::clone(&self.stream), reader: state.reader };
        drop(state);
        // Without a runtime the process ends, and the call with it.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tasks.spawn_until_stop(drain.run());
        }
    }
}

/// Keeps the messages of a stream that no client reads, until one does.
struct Drain {
    stream: Arc<AnswerStream>,
    reader: u64,
}

impl Drain {
    async fn run(self) {
        loop {
            let taken_over = self.stream.taken_over.notified();
            tokio::select! {
                biased;
                () = taken_over => return,
                there_is_more = poll_fn(|context| self.poll_kept(context)) => if !there_is_more { return },
            }
        }
    }

    /// Whether there may be more to come.
    fn poll_kept(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.stream.state();
        if state.reader != self.reader {
            return Poll::Ready(false);
        }
        let message = ready!(state.messages.poll_recv(context));
        match &message {
            Some(message) => drop(self.stream.kept.record(message)),
            None => state.ended = true,
        }
        Poll::Ready(message.is_some())
    }
}

#[cfg(test)]
mod tests;
