//! Who waits for which message of the one stream.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::jsonrpc::Message;
use crate::upstream::UpstreamError;

/// Messages of one exchange that wait for its reader; the last place is kept
/// for the answer.
const QUEUED_MESSAGES: usize = 64;

type Waiting = Sender<Result<Message, UpstreamError>>;

/// The requests in flight on one stream.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    /// Why the stream ended, once it has.
    closed: Option<String>,
}

/// Which request in flight made a server ask something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The only one, which has been told.
    TheOne,
    /// None is in flight.
    Nothing,
    /// One of several, or one that takes no more.
    OneOfSeveral,
}

impl Inbox {
    /// Registers the request `id` before it is sent.
    ///
    /// # Errors
    /// When the stream has ended: nothing was sent.
    pub(super) fn expect(&self, id: u64) -> Result<Receiver<Result<Message, UpstreamError>>, UpstreamError> {
        let mut state = self.state();
        if state.closed.is_some() {
            return Err(UpstreamError::SessionLost);
        }
        let (sender, receiver) = mpsc::channel(QUEUED_MESSAGES);
        state.waiting.insert(id, sender);
        Ok(receiver)
    }

    /// Gives up the request `id`; whether it was still waiting.
    pub(super) fn forget(&self, id: u64) -> bool {
        self.state().waiting.remove(&id).is_some()
    }

    /// Hands the answer to whoever waits for it; whether somebody did.
    pub(super) fn answer(&self, id: u64, answer: Message) -> bool {
        let Some(waiting) = self.state().waiting.remove(&id) else { return false };
        waiting.try_send(Ok(answer)).is_ok()
    }

    /// Hands a notification to the request it belongs to, as long as there is
    /// room for the answer behind it; whether there is such a request.
    pub(super) fn notify(&self, id: u64, notification: Message) -> bool {
        let state = self.state();
        let Some(waiting) = state.waiting.get(&id) else { return false };
        if waiting.capacity() > 1 {
            // A reader that has gone is no reason to look elsewhere.
            let _ = waiting.try_send(Ok(notification));
        }
        true
    }

    /// Hands something that the server asks to the one request in flight.
    pub(super) fn ask(&self, question: &Message) -> Cause {
        let state = self.state();
        let mut waiting = state.waiting.values();
        match (waiting.next(), waiting.next()) {
            (None, _) => Cause::Nothing,
            (Some(_), _) if question.method() == Some("ping") => Cause::OneOfSeveral,
            (Some(only), None) if only.capacity() > 1 => match only.try_send(Ok(question.clone())) {
                Ok(()) => Cause::TheOne,
                Err(_) => Cause::OneOfSeveral,
            },
            _ => Cause::OneOfSeveral,
        }
    }

    /// Fails everything in flight, and all that comes.
    pub(super) fn close(&self, reason: &str) {
        let mut state = self.state();
        state.closed = Some(reason.to_owned());
        for (_, waiting) in state.waiting.drain() {
            let _ = waiting.try_send(Err(UpstreamError::Closed { reason: reason.to_owned() }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the map as usable as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(text: &'static str) -> Message {
        Message::parse(Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_flood_of_notifications_leaves_room_for_the_answer() {
        let inbox = Inbox::default();
        let mut messages = inbox.expect(1).unwrap();
        for _ in 0..1000 {
            assert!(inbox.notify(1, message(r#"{"jsonrpc":"2.0","method":"n"}"#)));
        }
        assert!(inbox.answer(1, message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)));
        let mut last = None;
        while let Ok(next) = messages.try_recv() {
            last = Some(next.unwrap());
        }
        assert_eq!(last.unwrap().id(), Some("1"));
    }

    #[test]
    fn a_closed_stream_fails_what_waits_and_takes_nothing_new() {
        let inbox = Inbox::default();
        let mut messages = inbox.expect(1).unwrap();
        inbox.close("gone");
        assert!(matches!(messages.try_recv(), Ok(Err(UpstreamError::Closed { .. }))));
        assert!(matches!(inbox.expect(2), Err(UpstreamError::SessionLost)));
        assert!(!inbox.answer(1, message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)));
    }
}
