//! How a server is, from what it really did last.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use trunkline_model::{Endpoint, ServerName, ServerSpec, Timestamp};

use crate::upstream::UpstreamError;

/// One server and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    pub name: ServerName,
    pub kind: EndpointKind,
    /// The command line, or the URL without its query.
    pub target: String,
    pub state: State,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Live instances.
    pub instances: usize,
    /// When the server answered last, a handshake included.
    pub last_exchange: Option<Timestamp>,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointKind {
    Stdio,
    Http,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong and nothing runs: the next call starts it.
    Idle,
    /// Its first instance is starting.
    Starting,
    /// It answered last time and has a live instance.
    Ready,
    /// It wants a credential that the hub does not have.
    NeedsConsent { why: String },
    /// The last exchange failed.
    Failing { why: String },
}

/// What the exchanges with one server came to. Only changes take the lock.
#[derive(Debug)]
pub(super) struct Health {
    /// Microseconds; the smallest number when there was none.
    last_exchange: AtomicI64,
    well: AtomicBool,
    /// Each person shows it a credential of their own.
    own_credentials: bool,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    trouble: Option<State>,
    state: State,
    since: Timestamp,
}

/// How many instances of a server there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) ready: usize,
    pub(super) starting: usize,
}

impl Health {
    pub(super) fn new(own_credentials: bool, now: Timestamp) -> Self {
        Self {
            last_exchange: AtomicI64::new(i64::MIN),
            well: AtomicBool::new(true),
            own_credentials,
            shown: Mutex::new(Shown { trouble: None, state: State::Idle, since: now }),
        }
    }

    /// Notes that the server answered; true when that is news.
    pub(super) fn answered(&self, now: Timestamp) -> bool {
        self.last_exchange.store(now.as_micros(), Ordering::Relaxed);
        if self.well.load(Ordering::Acquire) {
            return false;
        }
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).trouble = None;
        self.well.store(true, Ordering::Release);
        true
    }

    /// Notes what went wrong; true when it says something about the server.
    pub(super) fn failed(&self, error: &UpstreamError) -> bool {
        let trouble = match error {
            // That one person has to sign in says nothing about the server.
            UpstreamError::NeedsConsent { .. } if self.own_credentials => return false,
            UpstreamError::NeedsConsent { reason, .. } => State::NeedsConsent { why: reason.clone() },
            UpstreamError::Unreachable { reason, .. } | UpstreamError::Closed { reason } => {
                State::Failing { why: reason.clone() }
            }
            UpstreamError::Handshake { .. }
            | UpstreamError::Protocol { .. }
            | UpstreamError::TimedOut { .. } => State::Failing { why: error.to_string() },
            UpstreamError::SessionLost | UpstreamError::TooLarge { .. } | UpstreamError::Busy { .. } => {
                return false;
            }
        };
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(trouble);
        self.well.store(false, Ordering::Release);
        true
    }

    pub(super) fn last_exchange(&self) -> Option<Timestamp> {
        match self.last_exchange.load(Ordering::Relaxed) {
            i64::MIN => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// The state with so many instances, and since when. To be called at each
    /// change, so that the time is right.
    pub(super) fn observe(&self, counts: Counts, now: Timestamp) -> (State, Timestamp) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &shown.trouble {
            Some(trouble) => trouble.clone(),
            None if counts.ready > 0 => State::Ready,
            None if counts.starting > 0 => State::Starting,
            None => State::Idle,
        };
        if std::mem::discriminant(&state) != std::mem::discriminant(&shown.state) {
            shown.since = now;
        }
        shown.state = state;
        (shown.state.clone(), shown.since)
    }
}

/// How a server is reached, and where it is, for a person to read.
pub(super) fn target(spec: &ServerSpec) -> (EndpointKind, String) {
    match &spec.endpoint {
        Endpoint::Stdio(command) => {
            let words: Vec<&str> =
                std::iter::once(&command.program).chain(&command.args).map(String::as_str).collect();
            (EndpointKind::Stdio, words.join(" "))
        }
        // A query may carry a credential.
        Endpoint::Http(endpoint) => {
            let url = endpoint.url.split(['?', '#']).next().unwrap_or_default();
            (EndpointKind::Http, url.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_state_keeps_its_beginning_until_it_changes() {
        let health = Health::new(false, at(1));
        let live = Counts { ready: 1, starting: 0 };
        let none = Counts::default();
        assert_eq!(health.observe(none, at(2)), (State::Idle, at(1)));
        assert_eq!(health.observe(Counts { ready: 0, starting: 1 }, at(3)), (State::Starting, at(3)));
        assert!(!health.answered(at(4)));
        assert_eq!(health.observe(live, at(4)), (State::Ready, at(4)));
        for moment in [5, 6] {
            let why = format!("gone {moment}");
            assert!(health.failed(&UpstreamError::Closed { reason: why.clone() }));
            assert_eq!(health.observe(none, at(moment)), (State::Failing { why }, at(5)));
        }
        assert!(health.answered(at(7)));
        assert_eq!(health.observe(live, at(7)), (State::Ready, at(7)));
        assert_eq!(health.last_exchange(), Some(at(7)));
        assert!(!health.failed(&UpstreamError::Busy { limit: 1 }));
    }

    #[test]
    fn that_one_person_has_to_sign_in_is_no_state_of_a_server_that_each_connects() {
        let server = ServerName::new("tracker").unwrap();
        let error = UpstreamError::NeedsConsent { server, reason: "nobody has".to_owned(), link: None };
        let of_each = Health::new(true, at(1));
        assert!(!of_each.failed(&error));
        assert_eq!(of_each.observe(Counts::default(), at(2)).0, State::Idle);
        let of_all = Health::new(false, at(1));
        assert!(of_all.failed(&error));
        let why = "nobody has".to_owned();
        assert_eq!(of_all.observe(Counts::default(), at(2)).0, State::NeedsConsent { why });
    }
}
