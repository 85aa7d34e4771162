//! The requests that wait for an answer of one child, or in one session over HTTP.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::bridge::task;
use crate::jsonrpc::{Kind, Message};
use crate::upstream::UpstreamError;

/// How many notifications of one request wait for their reader; further ones
/// are dropped, the answer never.
const QUEUED_NOTIFICATIONS: usize = 256;

/// How many questions wait until it is known what caused them.
const QUEUED_QUESTIONS: usize = 16;

/// Waits for a task (2025-11-25, basic/utilities/tasks).
pub(in crate::upstream) const TASK_RESULT: &str = "tasks/result";

/// Requests in the course of which a server may ask its client something
/// (2025-11-25, client; 2026-07-28, basic/patterns/mrtr), so that they take
/// turns. Waiting for a task is no such request: it would keep all others
/// waiting, and what a task asks names it.
pub(in crate::upstream) fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// One item of an open exchange.
type Item = Result<Message, UpstreamError>;

/// What a waiting request gets first.
#[derive(Debug)]
pub(in crate::upstream) enum First {
    /// The answer, and nothing came before it.
    Answer(Item),
    /// Something came before the answer: this and all that follows.
    Stream(mpsc::Receiver<Item>),
}

/// Requests by their id; none are taken once the link has closed.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Pending {
    entries: HashMap<u64, Entry>,
    closed: bool,
    /// What the child asked while several requests might have caused it.
    questions: Vec<Message>,
    /// Questions that nobody will answer.
    refused: Vec<Message>,
}

#[derive(Debug)]
struct Entry {
    waiter: Waiter,
    /// Whether the request has left for the child, so that it may have been executed.
    sent: bool,
    /// Whether log messages of the server may belong to it.
    takes_log_messages: bool,
    /// Whether it may make the server ask something.
    may_ask: bool,
    /// The task that it waits for.
    task: Option<String>,
}

#[derive(Debug)]
enum Waiter {
    First(oneshot::Sender<First>),
    Stream { notifications: mpsc::Sender<Item>, answer: mpsc::OwnedPermit<Item> },
}

impl Pending {
    /// Notes that `id` waits for its answer; none when the link has closed.
    /// `name` is what the request is about.
    pub(in crate::upstream) fn add(
        &mut self,
        id: u64,
        method: &str,
        name: Option<String>,
    ) -> Option<oneshot::Receiver<First>> {
        if self.closed {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        // What arrives during a handshake, or beside a subscription, was
        // caused by something else.
        let takes_log_messages = !matches!(method, "initialize" | "server/discover" | "subscriptions/listen");
        let waiter = Waiter::First(sender);
        let task = name.filter(|_| method == TASK_RESULT);
        let entry = Entry { waiter, sent: false, takes_log_messages, may_ask: may_ask(method), task };
        self.entries.insert(id, entry);
        Some(receiver)
    }

    /// Notes that the request leaves now. False when nobody waits for it any
    /// more: then it need not leave.
    pub(in crate::upstream) fn mark_sent(&mut self, id: u64) -> bool {
        match self.entries.get_mut(&id) {
            Some(entry) => {
                entry.sent = true;
                true
            }
            None => false,
        }
    }

    /// Forgets `id`. True when it was waiting and has left for the child, so
    /// that the child must be told.
    pub(in crate::upstream) fn forget(&mut self, id: u64) -> bool {
        let was_sent = self.entries.remove(&id).is_some_and(|entry| entry.sent);
        // A question may have been its.
        self.refused.append(&mut self.questions);
        was_sent
    }

    /// Gives `id` its answer; false when nobody waits for it.
    pub(in crate::upstream) fn answer(&mut self, id: u64, answer: Item) -> bool {
        let Some(entry) = self.entries.remove(&id) else { return false };
        entry.end(answer);
        // Who has its answer asked nothing: one candidate less.
        self.hand_over_questions();
        true
    }

    /// Takes something that the server asks, and gives it back when no request
    /// can have caused it. It belongs to whoever waits for the task that it
    /// names. When several requests might have caused it, it waits until all
    /// but one have their answers.
    pub(in crate::upstream) fn ask(&mut self, question: Message) -> Option<Message> {
        if let Some(task) = task::named_by(&question)
            && let Some(id) = self.waits_for(|waited| *waited == task)
        {
            // It is there: nothing comes back.
            return self.notify(id, question);
        }
        if !self.entries.values().any(|entry| entry.may_have_asked() || entry.task.is_some()) {
            return Some(question);
        }
        if self.questions.len() == QUEUED_QUESTIONS {
            self.refused.push(question);
            return None;
        }
        self.questions.push(question);
        self.hand_over_questions();
        None
    }

    /// The one request that waits for such a task.
    fn waits_for(&self, task: impl Fn(&String) -> bool) -> Option<u64> {
        let mut waiting = self.entries.iter().filter(|(_, entry)| entry.task.as_ref().is_some_and(&task));
        let (&id, _) = waiting.next()?;
        waiting.next().is_none().then_some(id)
    }

    fn hand_over_questions(&mut self) {
        if self.questions.is_empty() {
            return;
        }
        let mut candidates = self.entries.iter().filter(|(_, entry)| entry.may_have_asked());
        let first = candidates.next().map(|(id, _)| *id);
        let several = candidates.next().is_some();
        match (first.or_else(|| self.waits_for(|_| true)), several) {
            (None, _) => self.refused.append(&mut self.questions),
            (Some(_), true) => {}
            (Some(id), false) => {
                for question in std::mem::take(&mut self.questions) {
                    // It is there: nothing comes back.
                    self.notify(id, question);
                }
            }
        }
    }

    /// The questions that are to be refused.
    pub(in crate::upstream) fn take_refused(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.refused)
    }

    /// Gives a notification or a question to the request it belongs to; gives it
    /// back when that request is not waiting.
    pub(in crate::upstream) fn notify(&mut self, id: u64, notification: Message) -> Option<Message> {
        match self.entries.remove(&id) {
            Some(entry) => {
                let (entry, undelivered) = entry.notified(notification);
                self.entries.insert(id, entry);
                // Who asked must not wait for an answer that nobody gives.
                self.refused.extend(undelivered.filter(|message| message.kind() == Kind::Request));
                None
            }
            None => Some(notification),
        }
    }

    /// The one request that a log message can belong to.
    pub(in crate::upstream) fn only_logging(&self) -> Option<u64> {
        let mut candidates = self.entries.iter().filter(|(_, entry)| entry.takes_log_messages);
        let (&id, _) = candidates.next()?;
        candidates.next().is_none().then_some(id)
    }

    /// The one request in flight, when there is exactly one.
    pub(in crate::upstream) fn only(&self) -> Option<u64> {
        let mut ids = self.entries.keys();
        let id = *ids.next()?;
        ids.next().is_none().then_some(id)
    }

    pub(in crate::upstream) fn contains(&self, id: u64) -> bool {
        self.entries.contains_key(&id)
    }

    /// Fails all that wait and takes no more.
    pub(in crate::upstream) fn close(&mut self, reason: &str) {
        self.closed = true;
        self.questions.clear();
        for (_, entry) in self.entries.drain() {
            let error = if entry.sent {
                UpstreamError::Closed { reason: reason.to_owned() }
            } else {
                UpstreamError::SessionLost
            };
            entry.end(Err(error));
        }
    }
}

impl Entry {
    fn may_have_asked(&self) -> bool {
        self.sent && self.may_ask
    }

    fn end(self, answer: Item) {
        match self.waiter {
            // The receiver is gone when the caller went away: nobody is told.
            Waiter::First(sender) => drop(sender.send(First::Answer(answer))),
            Waiter::Stream { answer: slot, .. } => drop(slot.send(answer)),
        }
    }

    /// The entry after that, and the message when a reader that does not keep
    /// up has lost it.
    fn notified(self, notification: Message) -> (Self, Option<Message>) {
        let (waiter, undelivered) = match self.waiter {
            Waiter::First(first) => (open_stream(first, notification), None),
            Waiter::Stream { notifications, answer } => {
                let undelivered = match notifications.try_send(Ok(notification)) {
                    Ok(()) => None,
                    Err(TrySendError::Full(item) | TrySendError::Closed(item)) => item.ok(),
                };
                (Waiter::Stream { notifications, answer }, undelivered)
            }
        };
        (Self { waiter, ..self }, undelivered)
    }
}

fn open_stream(first: oneshot::Sender<First>, notification: Message) -> Waiter {
    let (notifications, receiver) = mpsc::channel(QUEUED_NOTIFICATIONS + 1);
    let Ok(answer) = notifications.clone().try_reserve_owned() else {
        // A fresh queue has room; without it the answer alone is delivered.
        return Waiter::First(first);
    };
    drop(notifications.try_send(Ok(notification)));
    drop(first.send(First::Stream(receiver)));
    Waiter::Stream { notifications, answer }
}

/// `notifications/cancelled` for a request that nobody waits for any more
/// (2025-11-25, basic/utilities/cancellation).
pub(in crate::upstream) fn cancelled(id: u64) -> Bytes {
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the caller no longer waits"}}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: String) -> Message {
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn progress(number: usize) -> Message {
        message(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{number}}}}}"#
        ))
    }

    fn result(id: u64) -> Message {
        message(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#))
    }

    #[test]
    fn a_flood_of_notifications_never_costs_the_answer() {
        let mut pending = Pending::default();
        let mut waiting = pending.add(1, "tools/call", None).unwrap();
        for number in 0..10_000 {
            assert!(pending.notify(1, progress(number)).is_none());
        }
        assert!(pending.notify(1, question(7)).is_none());
        assert_eq!(pending.take_refused().len(), 1, "no room for a question is no answer to it");
        assert!(pending.answer(1, Ok(result(1))));
        let First::Stream(mut stream) = waiting.try_recv().unwrap() else { panic!("a stream") };
        let mut notifications = 0;
        let mut last = None;
        while let Ok(item) = stream.try_recv() {
            last = Some(item.unwrap());
            notifications += 1;
        }
        assert_eq!(notifications, QUEUED_NOTIFICATIONS + 1);
        assert_eq!(last.unwrap().numeric_id(), Some(1));
    }

    #[test]
    fn closing_says_which_requests_may_have_been_executed() {
        let mut pending = Pending::default();
        let mut sent = pending.add(1, "tools/call", None).unwrap();
        let mut unsent = pending.add(2, "tools/call", None).unwrap();
        assert!(pending.mark_sent(1));
        pending.close("gone");
        assert!(matches!(sent.try_recv().unwrap(), First::Answer(Err(UpstreamError::Closed { .. }))));
        assert!(matches!(unsent.try_recv().unwrap(), First::Answer(Err(UpstreamError::SessionLost))));
        assert!(pending.add(3, "tools/call", None).is_none());
    }

    #[test]
    fn a_request_forgotten_before_it_left_needs_no_word_to_the_child() {
        let mut pending = Pending::default();
        let _first = pending.add(1, "tools/call", None);
        let _second = pending.add(2, "tools/call", None);
        assert!(pending.mark_sent(2));
        assert!(!pending.forget(1));
        assert!(!pending.mark_sent(1), "it must not leave any more");
        assert!(pending.forget(2));
        assert!(!pending.answer(2, Ok(result(2))), "a late answer is dropped");
    }

    #[test]
    fn log_messages_belong_to_the_only_request_that_can_have_caused_them() {
        let mut pending = Pending::default();
        let _listen = pending.add(1, "subscriptions/listen", None);
        assert_eq!(pending.only_logging(), None);
        let _call = pending.add(2, "tools/call", None);
        assert_eq!(pending.only_logging(), Some(2));
        let _other = pending.add(3, "tools/call", None);
        assert_eq!(pending.only_logging(), None);
    }

    fn question(id: u64) -> Message {
        message(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#))
    }

    fn sent(pending: &mut Pending, id: u64, method: &str) -> oneshot::Receiver<First> {
        let waiting = pending.add(id, method, None).unwrap();
        assert!(pending.mark_sent(id));
        waiting
    }

    #[test]
    fn a_question_of_a_task_is_for_whoever_waits_for_the_task() {
        let of_task = |task: &str| {
            let members = format!(r#"{{"io.modelcontextprotocol/related-task":{{"taskId":"{task}"}}}}"#);
            let params = format!(r#"{{"_meta":{members}}}"#);
            message(format!(r#"{{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{params}}}"#))
        };
        let mut pending = Pending::default();
        let mut waiting = |id, task: &str| {
            let waiting = pending.add(id, "tasks/result", Some(task.to_owned())).unwrap();
            assert!(pending.mark_sent(id));
            waiting
        };
        let (mut one, mut two) = (waiting(1, "one"), waiting(2, "two"));
        let mut call = sent(&mut pending, 3, "tools/call");
        pending.ask(of_task("two"));
        assert!(matches!(two.try_recv(), Ok(First::Stream(_))));
        pending.ask(question(8));
        assert!(matches!(call.try_recv(), Ok(First::Stream(_))), "a task names itself");
        assert!(one.try_recv().is_err());
        pending.answer(3, Ok(result(3)));
        pending.answer(2, Ok(result(2)));
        pending.ask(question(9));
        assert!(matches!(one.try_recv(), Ok(First::Stream(_))), "nobody else can have caused it");
    }

    #[test]
    fn a_question_waits_until_one_request_alone_can_have_caused_it() {
        let mut pending = Pending::default();
        let (mut one, _two) = (sent(&mut pending, 1, "tools/call"), sent(&mut pending, 2, "tools/call"));
        let _list = sent(&mut pending, 3, "tools/list");
        pending.ask(question(7));
        assert!(one.try_recv().is_err(), "it may be of either");
        pending.answer(2, Ok(result(2)));
        let Ok(First::Stream(mut messages)) = one.try_recv() else { panic!("the question") };
        assert_eq!(messages.try_recv().unwrap().unwrap().id(), Some("7"));
        assert!(pending.take_refused().is_empty());
    }

    #[test]
    fn a_question_whose_request_may_be_gone_is_refused() {
        let mut pending = Pending::default();
        let (mut one, _two) = (sent(&mut pending, 1, "tools/call"), sent(&mut pending, 2, "tools/call"));
        pending.ask(question(7));
        assert!(pending.forget(2), "it may have asked");
        assert!(one.try_recv().is_err());
        assert_eq!(pending.take_refused().len(), 1);
        let mut idle = Pending::default();
        assert!(idle.ask(question(8)).is_some(), "no request can have caused it");
        let _list = sent(&mut idle, 3, "tools/list");
        assert!(idle.ask(question(9)).is_some() && idle.take_refused().is_empty());
    }
}
