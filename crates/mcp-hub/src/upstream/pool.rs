//! The upstream servers of the catalogue and their live instances.
//!
//! An instance starts when it is first needed, once however many callers wait
//! for it, and stops when nobody has used it for a while. Each server is a
//! bulkhead: its instances, its starts and its requests in flight are bounded
//! by themselves.

mod backoff;
mod instance;
mod same;
mod server;
mod starting;
mod state;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use trunkline_model::{Clock, Identity, Instances, ServerName, ServerSpec};
use trunkline_oauth::client::Connections;
use trunkline_web::{Egress, Tasks};
use uuid::Uuid;

use super::stdio::LogLine;
use super::{Events, InstanceKey, Limits, Offer, Scope, ServerEvent, UpstreamError};

pub use instance::Lease;
use server::{Refused, Server};
pub use state::{EndpointKind, ServerState, State};

/// Events of connections that wait to be looked at: a server can say something
/// in each of its sessions at once.
const QUEUED_EVENTS: usize = 8192;
/// How long the hub's own tasks may take to end once their children have ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What the upstream side of the hub works with.
#[derive(Debug, Clone)]
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub egress: Egress,
    pub limits: Limits,
    /// What every child gets besides its declared environment.
    pub base_environment: Arc<[(OsString, OsString)]>,
    /// Gives credentials of authorization servers; without it such servers wait for consent.
    pub connections: Option<Arc<Connections>>,
    /// Where notifications go that belong to no request, and the ends of links.
    pub events: Events,
}

/// The upstream servers.
#[derive(Debug)]
pub struct Upstreams {
    servers: ArcSwap<Servers>,
    /// Held while the set of servers changes.
    changing: Mutex<()>,
    outfit: Arc<Outfit>,
}

type Servers = HashMap<ServerName, Arc<Server>>;

/// What the servers share.
#[derive(Debug)]
struct Outfit {
    /// With the pool's own queue of events in place of the owner's.
    parts: Parts,
    tasks: Tasks,
}

impl Upstreams {
    /// No servers yet; [`Self::apply`] brings them. Must be called within a
    /// Tokio runtime.
    pub fn new(parts: Parts) -> Arc<Self> {
        let (events, arriving) = mpsc::channel(QUEUED_EVENTS);
        let onward = parts.events.clone();
        let tasks = Tasks::new();
        let outfit = Arc::new(Outfit { parts: Parts { events, ..parts }, tasks: tasks.clone() });
        let pool = Arc::new(Self { servers: ArcSwap::default(), changing: Mutex::new(()), outfit });
        tasks.spawn_until_stop(forward(Arc::downgrade(&pool), arriving, onward));
        pool
    }

    /// Makes `specs` the servers there are. A server whose specification did
    /// not change keeps its instances; those of a changed or removed one take
    /// no more requests and stop once theirs are answered, or soon anyway.
    pub fn apply(&self, specs: Vec<ServerSpec>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.servers.load_full();
        let mut new = Servers::with_capacity(specs.len());
        for spec in specs {
            let known = old.get(&spec.name);
            let server = match known {
                Some(server) if same::same(server.spec(), &spec) => Arc::clone(server),
                _ => Server::new(spec, Arc::clone(&self.outfit), known.map(|server| server.log())),
            };
            new.insert(server.spec().name.clone(), server);
        }
        let kept =
            |server: &Arc<Server>| new.get(&server.spec().name).is_some_and(|kept| Arc::ptr_eq(kept, server));
        let gone: Vec<_> = old.values().filter(|server| !kept(server)).cloned().collect();
        self.servers.store(Arc::new(new));
        for server in gone {
            server.retire("its configuration changed");
        }
    }

    /// The specification of a server; none when there is no such server.
    pub fn spec(&self, name: &ServerName) -> Option<Arc<ServerSpec>> {
        self.servers.load().get(name).map(|server| server.shared_spec())
    }

    /// Which instance of `server` serves this caller, as far as the server is
    /// known; none when there is no such server.
    pub fn key(
        &self,
        server: &ServerName,
        identity: Identity,
        session: Option<Uuid>,
        offer: &Offer,
    ) -> Option<InstanceKey> {
        let servers = self.servers.load();
        let known = servers.get(server)?;
        Some(key_of(known, identity, session, known.keeps_sessions(), offer))
    }

    /// Which instance is asked what this caller is shown of `server`. One that
    /// keeps sessions without being asked to is taken to list the same in
    /// each, so that a list costs no session.
    pub fn lists_key(
        &self,
        server: &ServerName,
        identity: Identity,
        session: Option<Uuid>,
        offer: &Offer,
    ) -> Option<InstanceKey> {
        self.servers.load().get(server).map(|known| key_of(known, identity, session, false, offer))
    }

    /// A ready instance for this caller, and which it is. What its start
    /// shows of the server is heeded: no two downstream sessions are given
    /// the same upstream session.
    ///
    /// # Errors
    /// As [`Self::connection`].
    pub async fn connection_for(
        &self,
        server: &ServerName,
        identity: &Identity,
        session: Option<Uuid>,
        offer: &Offer,
    ) -> Result<(InstanceKey, Lease), UpstreamError> {
        let key = || self.key(server, identity.clone(), session, offer).ok_or_else(|| unknown(server));
        let first = key()?;
        let lease = self.connection(&first).await?;
        if session.is_none() || !lease.has_session() || !matches!(first.scope, Scope::Identity(..)) {
            return Ok((first, lease));
        }
        drop(lease);
        let second = key()?;
        let lease = self.connection(&second).await?;
        Ok((second, lease))
    }

    /// Whether there is an instance under this key.
    pub fn serves(&self, key: &InstanceKey) -> bool {
        self.servers.load().get(&key.server).is_some_and(|server| server.serves(&key.scope))
    }

    /// The downstream sessions that have instances of their own.
    pub fn sessions(&self) -> HashSet<Uuid> {
        self.servers.load().values().flat_map(|server| server.sessions()).collect()
    }

    /// A ready instance, started when there is none.
    ///
    /// # Errors
    /// [`UpstreamError::Busy`] when the server has as many requests or
    /// instances as it may; what the start met, or what the last start met
    /// when that was a moment ago. Nothing was executed.
    pub async fn connection(&self, key: &InstanceKey) -> Result<Lease, UpstreamError> {
        let mut last: Option<Arc<Server>> = None;
        loop {
            let server = self.servers.load().get(&key.server).cloned();
            let server = server.ok_or_else(|| unknown(&key.server))?;
            if last.is_some_and(|last| Arc::ptr_eq(&last, &server)) {
                return Err(unknown(&key.server));
            }
            match server.lease(&key.scope).await {
                Ok(lease) => return Ok(lease),
                Err(Refused::Error(error)) => return Err(error),
                // The configuration changed in this moment: ask its successor.
                Err(Refused::Retired) => last = Some(server),
            }
        }
    }

    /// A ready instance that is there already.
    pub fn running(&self, key: &InstanceKey) -> Option<Lease> {
        self.servers.load().get(&key.server)?.running(&key.scope)
    }

    /// Every server and how it is, by name.
    pub fn states(&self) -> Vec<ServerState> {
        let servers = self.servers.load();
        let mut states: Vec<_> = servers.values().map(|server| server.state()).collect();
        states.sort_by(|left, right| left.name.cmp(&right.name));
        states
    }

    /// The last lines that the children of a server wrote to their standard
    /// error, oldest first; none when there is no such server.
    pub fn logs(&self, name: &ServerName) -> Option<Vec<LogLine>> {
        self.servers.load().get(name).map(|server| server.log().lines())
    }

    /// Stops the instances that serve one downstream session.
    pub fn end_session(&self, session: Uuid) {
        for server in self.servers.load().values() {
            server.end_session(session);
        }
    }

    /// Stops the instances of `server` that serve whom `concerned` names: what
    /// they hold was another grant's.
    pub fn end_instances(&self, server: &ServerName, concerned: impl Fn(Option<&Identity>) -> bool) {
        if let Some(server) = self.servers.load().get(server) {
            server.end_instances(concerned);
        }
    }

    /// Stops every instance and waits until each child has been reaped. No
    /// instance starts any more.
    pub async fn stop_all(&self) {
        let servers = {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            self.servers.swap(Arc::default())
        };
        let stopping = servers.values().map(|server| server.stop("the hub stops"));
        futures_util::future::join_all(stopping).await;
        if !self.outfit.tasks.stop(LAST_WORDS).await {
            tracing::warn!(tasks = self.outfit.tasks.count(), "upstream tasks did not end in time");
        }
    }
}

/// `apart` keeps downstream sessions apart also where nobody asked for that.
fn key_of(
    known: &Server,
    identity: Identity,
    session: Option<Uuid>,
    apart: bool,
    offer: &Offer,
) -> InstanceKey {
    let spec = known.spec();
    let session = session.filter(|_| apart || spec.instances != Instances::PerUser);
    // A modern server is told with each request.
    let offer = if known.is_modern() { Offer::default() } else { offer.clone() };
    // Whoever shows a credential of their own shares an instance with nobody.
    let own = spec.has_own_credentials();
    let instances =
        if own && spec.instances == Instances::Shared { Instances::PerUser } else { spec.instances };
    let scope = match (instances, session) {
        (Instances::Shared, _) => Scope::Everybody,
        (Instances::PerUser | Instances::PerSession, Some(session)) => {
            Scope::Session(identity, session, offer)
        }
        (Instances::PerUser | Instances::PerSession, None) => Scope::Identity(identity, offer),
    };
    InstanceKey { server: spec.name.clone(), scope }
}

fn unknown(server: &ServerName) -> UpstreamError {
    UpstreamError::Unreachable { server: server.clone(), reason: "no such server is configured".to_owned() }
}

/// Looks at what connections say on its way to the owner of the pool: an
/// instance that has ended leaves at once.
async fn forward(
    pool: Weak<Upstreams>,
    mut arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>,
    onward: Events,
) {
    while let Some((key, event)) = arriving.recv().await {
        if let ServerEvent::Closed { reason } = &event
            && let Some(pool) = pool.upgrade()
            && let Some(server) = pool.servers.load().get(&key.server)
        {
            server.instance_ended(&key.scope, reason);
        }
        // It fails when the owner of the pool is gone.
        drop(onward.send((key, event)).await);
    }
}

#[cfg(test)]
mod tests;
