//! `requestState`: what a server wants to get back with the answers to its
//! questions (2026-07-28, basic/patterns/mrtr). The hub seals it, so that it
//! comes back only from the caller it was given to, in the same profile, for
//! the same request to the same server, and in time.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use trunkline_model::{Identity, ProfileName, ServerName, Timestamp};
use trunkline_storage::{Sealed, Sealer};
use uuid::Uuid;

use crate::jsonrpc::{text, unquote};

/// How long a person may take to answer.
const LIFETIME: Duration = Duration::from_hours(1);
/// Bytes of the time before the server's own state.
const TIME: usize = 8;
/// What stands between the time and the state.
const SERVERS: u8 = 1;
const CALL: u8 = 2;
const AGAIN: u8 = 3;

/// The request that a state belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    pub identity: &'a Identity,
    pub profile: &'a ProfileName,
    pub server: &'a ServerName,
    pub method: &'a str,
    /// The server's own name of the tool or prompt, or the resource's URI.
    pub name: &'a str,
    /// Raw JSON.
    pub arguments: Option<&'a str>,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// What a modern server gave.
    Servers(String),
    /// The call that waits at a legacy server.
    Call(Uuid),
    /// Nothing waits: the request is made anew.
    Again,
}

/// Seals a server's state; none when the cryptographic library refuses.
pub(crate) fn seal(sealer: &Sealer, of: Of<'_>, now: Timestamp, state: &str) -> Option<String> {
    seal_tagged(sealer, of, now, SERVERS, state.as_bytes())
}

/// Seals the handle of a call that waits.
pub(crate) fn seal_handle(sealer: &Sealer, of: Of<'_>, now: Timestamp, handle: Uuid) -> Option<String> {
    seal_tagged(sealer, of, now, CALL, handle.as_bytes())
}

/// Seals that the client was asked for something before it makes the request anew.
pub(crate) fn seal_again(sealer: &Sealer, of: Of<'_>, now: Timestamp) -> Option<String> {
    seal_tagged(sealer, of, now, AGAIN, &[])
}

fn seal_tagged(sealer: &Sealer, of: Of<'_>, now: Timestamp, tag: u8, state: &[u8]) -> Option<String> {
    let expires = now.plus(LIFETIME).as_micros();
    let plain = [&expires.to_be_bytes(), [tag].as_slice(), state].concat();
    Some(sealer.seal(&of.bound(), &plain).ok()?.to_string())
}

/// What was sealed; none when it was not given for this request, or too long
/// ago.
pub(crate) fn open(sealer: &Sealer, of: Of<'_>, now: Timestamp, sealed: &str) -> Option<State> {
    let plain = sealer.open(&of.bound(), &sealed.parse::<Sealed>().ok()?).ok()?;
    let (expires, state) = plain.split_first_chunk::<TIME>()?;
    if now.as_micros() >= i64::from_be_bytes(*expires) {
        return None;
    }
    match state.split_first()? {
        (&SERVERS, state) => String::from_utf8(state.to_vec()).ok().map(State::Servers),
        (&CALL, handle) => Uuid::from_slice(handle).ok().map(State::Call),
        (&AGAIN, []) => Some(State::Again),
        _ => None,
    }
}

impl Of<'_> {
    /// What the seal is bound to, in a form in which no two requests look alike.
    fn bound(&self) -> String {
        let Self { identity, profile, server, method, name, arguments } = *self;
        let arguments = arguments.map(arguments_digest);
        serde_json::json!([identity.as_str(), profile, server, method, name, arguments]).to_string()
    }
}

/// Clients write the same arguments anew: order and white space do not count.
fn arguments_digest(arguments: &str) -> String {
    let mut canonical = String::with_capacity(arguments.len());
    write_canonical(arguments, &mut canonical);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
}

/// Nothing that a server could read differently is taken for the same: numbers
/// and unreadable text stay as they were written, and members that stand twice
/// stay in their order.
fn write_canonical(json: &str, out: &mut String) {
    match json.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Members>(json) {
            Ok(Members(mut members)) => {
                members.sort_by(|(left, _), (right, _)| left.cmp(right));
                out.push('{');
                for (name, value) in members {
                    out.push_str(&text(&name));
                    out.push(':');
                    write_canonical(value.get(), out);
                    out.push(',');
                }
                out.push('}');
            }
            Err(_) => out.push_str(json),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(json) {
            Ok(values) => {
                out.push('[');
                for value in values {
                    write_canonical(value.get(), out);
                    out.push(',');
                }
                out.push(']');
            }
            Err(_) => out.push_str(json),
        },
        Some(b'"') => match unquote(json) {
            Some(value) => out.push_str(&text(&value)),
            None => out.push_str(json),
        },
        _ => out.push_str(json),
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_model::{Caller, ManualClock, Principal};
    use trunkline_storage::Store;

    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[expect(clippy::disallowed_methods, reason = "this test needs callers, not credentials")]
    fn caller(profile: &str) -> Caller {
        Caller::authenticated(Principal::Anonymous, ProfileName::new(profile).unwrap())
    }

    #[test]
    fn arguments_are_the_same_only_when_every_reader_takes_them_so() {
        let same = |one: &str, other: &str| arguments_digest(one) == arguments_digest(other);
        assert!(same(r#"{"a":"\u00e9","b":[1, {"c":null}]}"#, r#"{ "b":[1,{"c":null}], "a":"é" }"#));
        for (one, other) in [
            (r#"{"a":1,"x":1e400}"#, r#"{"a":2,"x":1e400}"#),
            (r#"{"a":1,"x":"\ud800"}"#, r#"{"a":2,"x":"\ud800"}"#),
            (r#"{"x":"\ud800"}"#, r#"{"x":"\ud801"}"#),
            (r#"{"a":1,"\ud800":0}"#, r#"{"a":2,"\ud800":0}"#),
            (r#"{"a":10000000000000000000001}"#, r#"{"a":10000000000000000000002}"#),
            (r#"{"a":2}"#, r#"{"a":1,"a":2}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":1,"c":2}}"#),
        ] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    #[tokio::test]
    async fn a_state_comes_back_for_its_own_request_and_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(NOON));
        let store = Store::open_in(directory.path(), clock).await.unwrap();
        let sealer = store.vault().sealer("test").unwrap();
        let (one, other) = (caller("engineering"), caller("finance"));
        let server = ServerName::new("tracker").unwrap();
        let of = Of {
            identity: one.identity(),
            profile: one.profile(),
            server: &server,
            method: "tools/call",
            name: "create",
            arguments: Some(r#"{"a":1,"b":[{"y":1,"x":2}]}"#),
        };
        let sealed = seal(&sealer, of, NOON, "state \u{1}").unwrap();
        let in_time = NOON.plus(LIFETIME.saturating_sub(Duration::from_micros(1)));
        let written_anew = Some(r#"{ "b": [ {"x":2, "y":1} ], "a": 1 }"#);
        let same = Of { arguments: written_anew, ..of };
        assert_eq!(open(&sealer, same, in_time, &sealed), Some(State::Servers("state \u{1}".into())));
        let handle = seal_handle(&sealer, of, NOON, Uuid::from_u128(5)).unwrap();
        assert_eq!(open(&sealer, of, NOON, &handle), Some(State::Call(Uuid::from_u128(5))));
        assert_eq!(open(&sealer, of, NOON.plus(LIFETIME), &sealed), None);

        let elsewhere = ServerName::new("other").unwrap();
        let others = [
            Of { identity: other.identity(), ..of },
            Of { profile: other.profile(), ..of },
            Of { server: &elsewhere, ..of },
            Of { method: "prompts/get", ..of },
            Of { name: "delete", ..of },
            Of { arguments: Some(r#"{"a":2}"#), ..of },
            Of { arguments: None, ..of },
        ];
        for other in others {
            assert_eq!(open(&sealer, other, NOON, &sealed), None, "{other:?}");
        }
        let mut tampered = sealed.clone();
        tampered.pop();
        for junk in ["", "x", "v1.a.b", tampered.as_str()] {
            assert_eq!(open(&sealer, of, NOON, junk), None, "{junk}");
        }
    }
}
