//! Where each message of a child belongs.

use std::sync::Arc;

use super::lines::Line;
use super::link::Link;
use crate::jsonrpc::{Fields, Kind, Message, meta};
use crate::upstream::http::{ACKNOWLEDGED, reply_to};
use crate::upstream::pending::Pending;
use crate::upstream::{ServerEvent, UpstreamError};

/// Takes one line of the child's standard output. What is no message is
/// noted in the log and disturbs nobody.
pub(super) fn dispatch(link: &Arc<Link>, line: Line) {
    match line {
        Line::Whole(line) if line.trim_ascii().is_empty() => {}
        Line::Whole(line) => match Message::parse_shallow(line.clone()) {
            Ok(message) => dispatch_message(link, message),
            Err(_) => link.stdout_junk(&line),
        },
        Line::TooLong(head) => {
            link.note(&format!(
                "a line of more than {} bytes on standard output is dropped",
                link.message_limit
            ));
            let mut pending = link.pending();
            let id = id_at_start(&head).filter(|&id| pending.contains(id)).or_else(|| pending.only());
            fail_too_large(link, &mut pending, id);
        }
        Line::EndOfTooLong(tail) => {
            let mut pending = link.pending();
            fail_too_large(link, &mut pending, id_at_end(&tail));
        }
    }
}

fn dispatch_message(link: &Arc<Link>, message: Message) {
    match message.kind() {
        Kind::Result | Kind::Error => answer(link, message),
        Kind::Notification => notification(link, message),
        Kind::Request if message.method() == Some("ping") => link.reply(reply_to(&message)),
        Kind::Request => link.asked(message),
    }
}

fn answer(link: &Arc<Link>, message: Message) {
    let mut pending = link.pending();
    // A server that cannot read a request answers with the id null (JSON-RPC
    // 2.0, section 5).
    let id = message.numeric_id().or_else(|| match message.id() {
        None | Some("null") => pending.only(),
        Some(_) => None,
    });
    if let Some(id) = id {
        // An answer that nobody waits for is a late one: dropped.
        pending.answer(id, Ok(message));
    }
    drop(pending);
    link.refuse_questions();
}

fn notification(link: &Arc<Link>, message: Message) {
    let mut unclaimed = Some(message);
    {
        let mut pending = link.pending();
        let owner = unclaimed.as_ref().and_then(|message| match message.method() {
            Some("notifications/message") => pending.only_logging(),
            _ => named_owner(message),
        });
        if let (Some(id), Some(message)) = (owner, unclaimed.take_if(|_| owner.is_some())) {
            unclaimed = pending.notify(id, message);
        }
    }
    // Nobody waits for the acknowledgement of the hub's own subscription.
    // Progress that comes after its answer may be of a task.
    if let Some(message) = unclaimed.filter(|message| message.method() != Some(ACKNOWLEDGED)) {
        let event = (link.key(), ServerEvent::Notification(message));
        if link.events.try_send(event).is_err() {
            tracing::debug!(server = %link.key().server, "a notification was dropped: the queue of events is full");
        }
    }
}

/// The request that a notification names: as its progress token, as the
/// request it is about, or as the subscription it belongs to (2026-07-28,
/// basic/patterns/subscriptions).
fn named_owner(message: &Message) -> Option<u64> {
    let fields = Fields::find(message.payload()?, ["progressToken", "requestId", "_meta"]).ok()?;
    let named = match message.method()? {
        "notifications/progress" => fields.raw(0),
        "notifications/cancelled" => fields.raw(1),
        _ => Fields::find(fields.raw(2)?, [meta::SUBSCRIPTION_ID]).ok()?.raw(0),
    };
    named?.parse().ok()
}

fn fail_too_large(link: &Arc<Link>, pending: &mut Pending, id: Option<u64>) {
    if let Some(id) = id {
        pending.answer(id, Err(UpstreamError::TooLarge { limit: link.message_limit }));
    }
}

/// The id of an answer that starts as most servers write it. The answer is
/// too large to be read whole.
fn id_at_start(head: &[u8]) -> Option<u64> {
    let rest = head.strip_prefix(br#"{"jsonrpc":"2.0","id":"#)?;
    number(&rest[..memchr::memchr(b',', rest)?])
}

/// The id of an answer that ends as servers write it that put the result first.
fn id_at_end(tail: &[u8]) -> Option<u64> {
    let key = br#","id":"#;
    let start = memchr::memmem::rfind(tail, key)? + key.len();
    number(tail[start..].trim_ascii_end().strip_suffix(b"}")?)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_answer_is_found_without_reading_it() {
        let start = |text: &str| id_at_start(text.as_bytes());
        assert_eq!(start(r#"{"jsonrpc":"2.0","id":17,"result":{"#), Some(17));
        assert_eq!(start(r#"{"result":{"id":17,"#), None);
        let end = |text: &str| id_at_end(text.as_bytes());
        assert_eq!(end(r#"xxx"}]},"jsonrpc":"2.0","id":17} "#), Some(17));
        assert_eq!(end(r#"xxx","id":17}]}}"#), None);
        assert_eq!(end(r#"xxx"}]}}"#), None);
    }
}
