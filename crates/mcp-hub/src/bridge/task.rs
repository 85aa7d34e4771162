//! The id under which a client knows a task (extension
//! `io.modelcontextprotocol/tasks`, SEP-2663; 2025-11-25, basic/utilities/tasks).
//! The hub seals what leads to the task into it, so that it is good for the
//! caller and the profile that it was given to, until it expires, and says
//! nothing to anybody else. Whoever has it can go on with the task from another
//! connection, and after the hub was started anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trunkline_model::{Caller, ServerName, Timestamp};
use trunkline_storage::{Sealed, Sealer};

use crate::jsonrpc::{Fields, Message};
use crate::upstream::Era;

/// The extension of 2026-07-28.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// What a client must declare for it, as the error -32021 names it.
pub(crate) const REQUIRED: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// An id is good for no longer, whatever the server says of its task.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// An id outlives its task by this much: what the server then says is better
/// than that the task was never there.
const GRACE: Duration = Duration::from_hours(1);

/// Ids of servers that are taken, in bytes: what is made of them goes through
/// headers.
const LONGEST_ID: usize = 1024;
/// An instance is kept this long for a task that never expires.
const KEPT: Duration = Duration::from_hours(1);

/// A task at its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub server: ServerName,
    /// The server's own name of the tool that became a task.
    pub tool: String,
    /// The name under which the profile showed the tool.
    pub shown: String,
    /// The server's own id of the task.
    pub own: String,
    /// The era in which the task began: ids are of no use in the other one.
    pub era: Era,
}

/// What an id holds: when it expires, whether the era is the modern one,
/// server, tool, its shown name and the server's id.
#[derive(Serialize, Deserialize)]
struct Inner(i64, bool, ServerName, String, String, String);

impl Ticket {
    /// The id that the client is given; none when the cryptographic library
    /// refuses.
    pub(crate) fn seal(
        &self,
        sealer: &Sealer,
        caller: &Caller,
        now: Timestamp,
        lifetime: Duration,
    ) -> Option<String> {
        let expires = now.plus(lifetime.saturating_add(GRACE).min(LONGEST)).as_micros();
        let modern = self.era == Era::Modern;
        let (tool, shown) = (self.tool.clone(), self.shown.clone());
        let inner = Inner(expires, modern, self.server.clone(), tool, shown, self.own.clone());
        let plain = serde_json::to_vec(&inner).ok()?;
        Some(sealer.seal(&bound(caller), &plain).ok()?.to_string())
    }

    /// The task that an id stands for; none when it was not given to this
    /// caller in this profile, or too long ago.
    pub(crate) fn open(sealer: &Sealer, caller: &Caller, now: Timestamp, id: &str) -> Option<Self> {
        let plain = sealer.open(&bound(caller), &id.parse::<Sealed>().ok()?).ok()?;
        let Inner(expires, modern, server, tool, shown, own) = serde_json::from_slice(&plain).ok()?;
        let era = if modern { Era::Modern } else { Era::Legacy };
        (now.as_micros() < expires).then_some(Self { server, tool, shown, own, era })
    }
}

/// What the seal is bound to. Other seals of the same key are bound to more
/// members, and none of them to this word.
fn bound(caller: &Caller) -> String {
    serde_json::json!(["task", caller.identity().as_str(), caller.profile()]).to_string()
}

/// A task that a server has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The server's own id of it.
    pub own: String,
    /// For how long the server keeps it; none when it does not say.
    pub lifetime: Option<Duration>,
}

impl Begun {
    /// For how long the id is good.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime.map_or(LONGEST, |lifetime| lifetime.min(LONGEST))
    }

    /// For how long the instance that runs it must not idle away.
    pub(crate) fn keeps_for(&self) -> Duration {
        self.lifetime.unwrap_or(KEPT)
    }

    /// Reads the result of a call that became a task; none when it is none, or
    /// has an id that no header could carry.
    pub(crate) fn read(result: &str, server: Era) -> Option<Self> {
        let (object, lifetime) = match server {
            Era::Modern => (result, "ttlMs"),
            Era::Legacy => (Fields::find(result, ["task"]).ok()?.raw(0)?, "ttl"),
        };
        let fields = Fields::find(object, ["taskId", lifetime]).ok()?;
        let own = fields.string(0).ok()??.into_owned();
        if own.len() > LONGEST_ID {
            return None;
        }
        let milliseconds = fields.raw(1).and_then(|raw| raw.parse().ok());
        Some(Self { own, lifetime: milliseconds.map(Duration::from_millis) })
    }
}

/// The task that a notification, or a question of a server, is about.
pub(crate) fn named_by(message: &Message) -> Option<String> {
    let params = message.payload().filter(|params| params.contains("taskId") || params.contains('\\'))?;
    let fields = Fields::find(params, ["taskId", "_meta"]).ok()?;
    if message.method().is_some_and(|method| method.starts_with("notifications/tasks"))
        && let Ok(Some(own)) = fields.string(0)
    {
        return Some(own.into_owned());
    }
    super::task_ids::related(fields.raw(1)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use trunkline_model::{ManualClock, Principal, ProfileName};
    use trunkline_storage::Store;

    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    #[expect(clippy::disallowed_methods, reason = "this test needs callers, not credentials")]
    fn caller(profile: &str) -> Caller {
        Caller::authenticated(Principal::Anonymous, ProfileName::new(profile).unwrap())
    }

    #[tokio::test]
    async fn an_id_leads_its_caller_to_the_task_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(NOON));
        let store = Store::open_in(directory.path(), clock).await.unwrap();
        let sealer = store.vault().sealer("test").unwrap();
        let (one, other) = (caller("engineering"), caller("finance"));
        let ticket = Ticket {
            server: ServerName::new("tracker").unwrap(),
            tool: "slow".into(),
            shown: "tracker__slow".into(),
            own: "id-7".into(),
            era: Era::Modern,
        };
        let id = ticket.seal(&sealer, &one, NOON, MINUTE).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "it must fit a header: {id}");
        let open = |caller, now, id: &str| Ticket::open(&sealer, caller, now, id);
        let last = NOON.plus(MINUTE + GRACE).as_micros() - 1;
        assert_eq!(open(&one, Timestamp::from_micros(last), &id), Some(ticket));
        assert_eq!(open(&one, NOON.plus(MINUTE + GRACE), &id), None, "it expires");
        assert_eq!(open(&other, NOON, &id), None, "another caller");
        for junk in ["", "x", "id-7", &id[..id.len() - 1]] {
            assert_eq!(open(&one, NOON, junk), None, "{junk}");
        }
    }

    #[test]
    fn a_task_is_found_in_the_result_of_each_era() {
        let modern = r#"{"resultType":"task","taskId":"a","ttlMs":1500}"#;
        let begun = Begun { own: "a".into(), lifetime: Some(Duration::from_millis(1500)) };
        assert_eq!(Begun::read(modern, Era::Modern), Some(begun));
        let legacy = r#"{"task":{"taskId":"b","ttl":null}}"#;
        assert_eq!(Begun::read(legacy, Era::Legacy), Some(Begun { own: "b".into(), lifetime: None }));
        assert_eq!(Begun::read(legacy, Era::Legacy).unwrap().lifetime(), LONGEST);
        assert_eq!(Begun::read(r#"{"content":[]}"#, Era::Legacy), None);
        let forever = r#"{"taskId":"c","ttlMs":18446744073709551615}"#;
        assert_eq!(Begun::read(forever, Era::Modern).unwrap().lifetime(), LONGEST);
        let huge = format!(r#"{{"taskId":"{}"}}"#, "d".repeat(LONGEST_ID + 1));
        assert_eq!(Begun::read(&huge, Era::Modern), None);
    }

    #[test]
    fn a_message_names_the_task_that_it_is_about() {
        let named =
            |text: &'static str| named_by(&Message::parse(Bytes::from_static(text.as_bytes())).unwrap());
        let status = r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"a"}}"#;
        assert_eq!(named(status).as_deref(), Some("a"));
        let related = r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"taskId":"x",
            "_meta":{"io.modelcontextprotocol/related-task":{"taskId":"b"}}}}"#;
        assert_eq!(named(related).as_deref(), Some("b"));
        assert_eq!(named(r#"{"jsonrpc":"2.0","method":"x","params":{"taskId":"a"}}"#), None);
    }
}
