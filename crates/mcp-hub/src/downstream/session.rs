//! Sessions of legacy clients (MCP 2025-11-25, transports, "session management").
//!
//! A session id is a sealed token: it carries who may use it, where, and what
//! the client declared, so that any process with the key can go on with it.
//! What a process keeps beside it is a cache, made again from the token.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use trunkline_model::{Caller, Clock, Identity, Timestamp};
use trunkline_storage::{Sealed, Sealer};
use uuid::Uuid;

use super::kept::Store;
use super::streams::Streams;
use super::subscriber::{Subscriber, Subscribers};
use crate::bridge::asked::Asked;
use crate::bridge::declared::offered;
use crate::catalog::ListKind;
use crate::upstream::{InstanceKey, Offer};

/// How long a session id is good for.
const LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Live state that nobody used for this long is dropped; the id stays good.
const FORGET_AFTER: Duration = Duration::from_mins(30);
/// More live sessions than this and the longest idle are dropped first.
const MOST_LIVE: usize = 20_000;
/// Ended session ids remembered, so that they stay ended.
const MOST_ENDED: usize = 100_000;

/// What all sessions keep of their streams for clients that come back, in bytes.
const KEPT_IN_ALL: usize = 64 << 20;

/// What a session id carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    id: Uuid,
    identity: String,
    profile: String,
    /// The protocol version agreed on in `initialize`.
    pub version: String,
    /// What the client can be asked for, as it wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capabilities: Option<Box<RawValue>>,
    expires: Timestamp,
}

/// One session of a legacy client.
#[derive(Debug)]
pub(crate) struct Session {
    pub id: Uuid,
    caller: Caller,
    expires: Timestamp,
    /// Empty until `initialize`, which on HTTP+SSE comes after the session.
    capabilities: OnceLock<Box<RawValue>>,
    /// Requests under way by the client's own ids, to be cancelled by them.
    running: Mutex<HashMap<String, CancellationToken>>,
    pub subscriber: Arc<Subscriber>,
    pub streams: Streams,
    /// What the client has been asked.
    pub asked: Asked,
    /// Where answers go on the HTTP+SSE transport.
    pub outbox: OnceLock<mpsc::Sender<Bytes>>,
    last_used: AtomicI64,
}

impl Session {
    fn new(claims: &Claims, caller: &Caller, now: Timestamp, kept: &Arc<Store>) -> Self {
        let session = Self {
            id: claims.id,
            caller: caller.clone(),
            expires: claims.expires,
            capabilities: OnceLock::new(),
            running: Mutex::default(),
            subscriber: Arc::new(Subscriber::new(caller.clone(), Some(claims.id), ListKind::ALL.to_vec())),
            streams: Streams::new(claims.id, &claims.version, now, kept),
            asked: Asked::default(),
            outbox: OnceLock::new(),
            last_used: AtomicI64::new(now.as_micros()),
        };
        if let Some(capabilities) = &claims.capabilities {
            session.declare(capabilities.clone());
        }
        session
    }

    /// What the client can be asked for, as it wrote it.
    pub(crate) fn capabilities(&self) -> &str {
        self.capabilities.get().map_or("{}", |raw| raw.get())
    }

    /// Notes what the client can be asked for; what it said first counts.
    pub(crate) fn declare(&self, capabilities: Box<RawValue>) {
        let _ = self.capabilities.set(capabilities);
        let _ = self.subscriber.offer.set(Offer::new(&offered(self.capabilities())));
    }

    /// What servers are told that this client can be asked for.
    pub(crate) fn offer(&self) -> Offer {
        self.subscriber.offer.get().cloned().unwrap_or_default()
    }

    /// Notes a request under way. The guard forgets it when dropped.
    pub(crate) fn start(self: &Arc<Self>, id: &str, cancel: CancellationToken) -> Running {
        self.running().insert(id.to_owned(), cancel);
        Running { session: Arc::clone(self), id: id.to_owned() }
    }

    /// Cancels the request with the client's id; unknown ids are ignored, as
    /// the specification says.
    pub(crate) fn cancel(&self, id: &str) {
        if let Some(token) = self.running().remove(id) {
            token.cancel();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_for(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_micros(self.last_used.load(Ordering::Relaxed)))
    }
}

/// A request under way in a session.
#[derive(Debug)]
pub(crate) struct Running {
    session: Arc<Session>,
    id: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.session.running().remove(&self.id);
    }
}

/// Makes room by a tenth at once: who opens sessions without end pays for one
/// look at all of them in a thousand.
fn drop_longest_idle(live: &mut HashMap<String, Arc<Session>>) {
    let free = |session: &Arc<Session>| Arc::strong_count(session) == 1;
    let mut used: Vec<i64> = live
        .values()
        .filter(|session| free(session))
        .map(|session| session.last_used.load(Ordering::Relaxed))
        .collect();
    let Some(index) = (used.len() / 10).checked_sub(1) else { return };
    let (_, newest_to_go, _) = used.select_nth_unstable(index);
    let newest_to_go = *newest_to_go;
    live.retain(|_, session| !free(session) || session.last_used.load(Ordering::Relaxed) > newest_to_go);
}

/// All sessions that this process knows.
#[derive(Debug)]
pub(crate) struct Sessions {
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    live: Mutex<HashMap<String, Arc<Session>>>,
    ended: Mutex<HashMap<Uuid, Timestamp>>,
    subscribers: Arc<Subscribers>,
    /// What the streams of all sessions keep.
    kept: Arc<Store>,
}

impl Sessions {
    pub(crate) fn new(sealer: Sealer, clock: Arc<dyn Clock>, subscribers: Arc<Subscribers>) -> Self {
        let kept = Store::new(KEPT_IN_ALL);
        Self { sealer, clock, live: Mutex::default(), ended: Mutex::default(), subscribers, kept }
    }

    /// Begins a session; gives its id, as it stands in `Mcp-Session-Id`.
    pub(crate) fn begin(
        &self,
        caller: &Caller,
        version: &str,
        capabilities: Option<Box<RawValue>>,
    ) -> Option<(String, Arc<Session>)> {
        let now = self.clock.now();
        let claims = Claims {
            id: Uuid::now_v7(),
            identity: caller.identity().as_str().to_owned(),
            profile: caller.profile().to_string(),
            version: version.to_owned(),
            capabilities,
            expires: now.plus(LIFETIME),
        };
        let payload = serde_json::to_vec(&claims).ok()?;
        let token = self.sealer.seal("", &payload).ok()?.to_string();
        let session = self.keep(token.clone(), Session::new(&claims, caller, now, &self.kept));
        Some((token, session))
    }

    /// The session with this id, if it is the caller's and still good.
    pub(crate) fn find(&self, token: &str, caller: &Caller) -> Option<Arc<Session>> {
        let now = self.clock.now();
        let live = self.live().get(token).cloned();
        let session = match live {
            Some(session) => session,
            None => self.revive(token, caller, now)?,
        };
        if session.caller != *caller || now >= session.expires || self.has_ended(session.id) {
            return None;
        }
        session.last_used.store(now.as_micros(), Ordering::Relaxed);
        Some(session)
    }

    /// The session with this id, when its state lives in this process.
    pub(crate) fn find_live(&self, token: &str, caller: &Caller) -> Option<Arc<Session>> {
        // In a statement of its own: `find` takes the same lock.
        let is_live = self.live().contains_key(token);
        if is_live { self.find(token, caller) } else { None }
    }

    /// Ends a session for good and cancels what it had under way.
    pub(crate) fn end(&self, token: &str, session: &Session) {
        self.live().remove(token);
        for (_, cancel) in session.running().drain() {
            cancel.cancel();
        }
        session.subscriber.take_over();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MOST_ENDED {
            let now = self.clock.now();
            ended.retain(|_, expires| now < *expires);
        }
        ended.insert(session.id, session.expires);
    }

    /// Drops the live state of sessions that nobody uses; their ids stay good.
    pub(crate) fn sweep(&self) -> Vec<Uuid> {
        let now = self.clock.now();
        let mut dropped = Vec::new();
        self.live().retain(|_, session| {
            // A stream or a request under way holds the session or its subscriber.
            let is_read = Arc::strong_count(&session.subscriber) > 1;
            let held = is_read || Arc::strong_count(session) > 1;
            session.streams.sweep(now, is_read);
            let keep = held || session.idle_for(now) < FORGET_AFTER;
            if !keep {
                dropped.push(session.id);
            }
            keep
        });
        dropped
    }

    /// The sessions whose state lives in this process.
    pub(crate) fn living(&self) -> HashSet<Uuid> {
        self.live().values().map(|session| session.id).collect()
    }

    fn revive(&self, token: &str, caller: &Caller, now: Timestamp) -> Option<Arc<Session>> {
        let payload = self.sealer.open("", &token.parse::<Sealed>().ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        let is_callers =
            claims.identity == caller.identity().as_str() && claims.profile == caller.profile().as_str();
        if !is_callers || now >= claims.expires || self.has_ended(claims.id) {
            return None;
        }
        Some(self.keep(token.to_owned(), Session::new(&claims, caller, now, &self.kept)))
    }

    fn keep(&self, token: String, session: Session) -> Arc<Session> {
        let mut live = self.live();
        if live.len() >= MOST_LIVE {
            drop_longest_idle(&mut live);
        }
        let session = Arc::clone(live.entry(token).or_insert_with(|| Arc::new(session)));
        drop(live);
        self.subscribers.add(&session.subscriber);
        session
    }

    fn has_ended(&self, id: Uuid) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions that an instance is for.
    pub(crate) fn served_by(&self, instance: &InstanceKey) -> Vec<Arc<Session>> {
        let live = self.live();
        live.values().filter(|session| session.subscriber.sees(instance)).cloned().collect()
    }

    /// The most talkative level that any session of the identity asked for; 0
    /// when none did.
    pub(crate) fn lowest_level(&self, identity: &Identity) -> u8 {
        let live = self.live();
        let levels = live.values().filter(|session| session.caller.identity() == identity);
        levels.map(|session| session.subscriber.log_level()).filter(|level| *level > 0).min().unwrap_or(0)
    }
}
