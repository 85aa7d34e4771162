//! One server of the catalogue and its instances.

mod hand_over;
mod sessions;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use trunkline_model::ServerSpec;

use super::instance::{Instance, Lease, Place};
use super::state::{Counts, Health, ServerState, target};
use super::{Outfit, backoff, starting};
use crate::upstream::stdio::LogRing;
use crate::upstream::{Connection, Scope, UpstreamError};

/// How long requests in flight may go on when their server's configuration changed.
const DRAIN: Duration = Duration::from_secs(10);
/// A failure this long past its wait is forgotten.
const FORGET: Duration = Duration::from_mins(1);
/// How often one caller starts an instance that ends before it can be used.
const ATTEMPTS: usize = 3;

/// One server and its instances.
#[derive(Debug)]
pub(super) struct Server {
    spec: Arc<ServerSpec>,
    pub(super) outfit: Arc<Outfit>,
    log: Arc<LogRing>,
    pub(super) in_flight: AtomicUsize,
    pub(super) starts: Semaphore,
    /// The era found last; see `starting`.
    pub(super) era: AtomicU8,
    /// See [`Server::keeps_sessions`].
    gives_sessions: AtomicBool,
    health: Health,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Set once the server is no longer of the catalogue.
    retired: bool,
    by_scope: HashMap<Scope, Slot>,
}

/// What there is for one scope.
#[derive(Debug)]
enum Slot {
    Starting(watch::Receiver<Outcome>),
    Ready(Arc<Instance>),
    Failed(Failure),
}

/// What became of a start; none while it goes on.
pub(super) type Outcome = Option<Result<(), UpstreamError>>;

#[derive(Debug)]
struct Failure {
    /// In a row.
    count: u32,
    /// Nothing is started before.
    until: Instant,
    error: UpstreamError,
}

/// Why there is no lease.
#[derive(Debug)]
pub(super) enum Refused {
    /// The server is no longer of the catalogue.
    Retired,
    Error(UpstreamError),
}

enum Found {
    Ready(Arc<Instance>),
    Starting(watch::Receiver<Outcome>),
}

impl Server {
    /// `log` is the log of the server's predecessor, when it has one.
    pub(super) fn new(spec: ServerSpec, outfit: Arc<Outfit>, log: Option<&Arc<LogRing>>) -> Arc<Self> {
        let limits = &outfit.parts.limits;
        let log = log.cloned().unwrap_or_else(|| {
            Arc::new(LogRing::new(Arc::clone(&outfit.parts.clock), limits.log_lines, limits.log_bytes))
        });
        let health = Health::new(spec.has_own_credentials(), outfit.parts.clock.now());
        Arc::new(Self {
            spec: Arc::new(spec),
            log,
            in_flight: AtomicUsize::new(0),
            starts: Semaphore::new(limits.starts),
            era: AtomicU8::default(),
            gives_sessions: AtomicBool::new(false),
            health,
            slots: Mutex::default(),
            outfit,
        })
    }

    pub(super) fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    pub(super) fn shared_spec(&self) -> Arc<ServerSpec> {
        Arc::clone(&self.spec)
    }

    pub(super) fn log(&self) -> &Arc<LogRing> {
        &self.log
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ready instance for `scope`, started when there is none.
    pub(super) async fn lease(self: &Arc<Self>, scope: &Scope) -> Result<Lease, Refused> {
        let place = Place::take(self, self.outfit.parts.limits.in_flight).map_err(Refused::Error)?;
        for _ in 0..ATTEMPTS {
            let mut starting = match self.look(scope)? {
                Found::Ready(instance) => return Ok(Lease { instance, place }),
                Found::Starting(starting) => starting,
            };
            let outcome = starting.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
            match outcome {
                Ok(Some(Err(_))) if self.slots().retired => return Err(Refused::Retired),
                Ok(Some(Err(error))) => return Err(Refused::Error(error)),
                Ok(_) => {}
                // The start was given up because the hub stops.
                Err(_) => return Err(Refused::Retired),
            }
        }
        Err(Refused::Error(self.unreachable("it ends as soon as it has started")))
    }

    pub(super) fn running(self: &Arc<Self>, scope: &Scope) -> Option<Lease> {
        let place = Place::take(self, self.outfit.parts.limits.in_flight).ok()?;
        let slots = self.slots();
        match slots.by_scope.get(scope) {
            Some(Slot::Ready(instance)) if !instance.connection.is_closed() => {
                instance.take();
                Some(Lease { instance: Arc::clone(instance), place })
            }
            _ => None,
        }
    }

    fn look(self: &Arc<Self>, scope: &Scope) -> Result<Found, Refused> {
        let mut slots = self.slots();
        if slots.retired {
            return Err(Refused::Retired);
        }
        let failures = match slots.by_scope.get(scope) {
            Some(Slot::Ready(instance)) if !instance.connection.is_closed() => {
                instance.take();
                return Ok(Found::Ready(Arc::clone(instance)));
            }
            Some(Slot::Ready(instance)) => {
                let failure = self.failure_of_ended(instance, "it ended");
                failure.wait_over()?;
                failure.count
            }
            Some(Slot::Starting(starting)) => return Ok(Found::Starting(starting.clone())),
            Some(Slot::Failed(failure)) => {
                failure.wait_over()?;
                failure.count
            }
            None => 0,
        };
        if let Some(instance) = self.hand_over(&mut slots, scope) {
            instance.take();
            return Ok(Found::Ready(instance));
        }
        let starting = self.start(&mut slots, scope, failures)?;
        drop(slots);
        self.observe();
        Ok(Found::Starting(starting))
    }

    fn start(
        self: &Arc<Self>,
        slots: &mut Slots,
        scope: &Scope,
        failures: u32,
    ) -> Result<watch::Receiver<Outcome>, Refused> {
        let now = Instant::now();
        slots
            .by_scope
            .retain(|_, slot| !matches!(slot, Slot::Failed(failure) if failure.until + FORGET < now));
        self.make_room(slots, scope)?;
        let (outcome, starting) = watch::channel(None);
        slots.by_scope.insert(scope.clone(), Slot::Starting(starting.clone()));
        let start = starting::run(Arc::clone(self), scope.clone(), failures, outcome, starting.clone());
        self.outfit.tasks.spawn_until_stop(start);
        Ok(starting)
    }

    /// Takes the instance that a start brought. Gives it back when nobody
    /// wants it any more.
    pub(super) fn started(
        &self,
        instance: Arc<Instance>,
        starting: &watch::Receiver<Outcome>,
    ) -> Result<(), Arc<Instance>> {
        let mut slots = self.slots();
        match slots.by_scope.get_mut(&instance.owner.key().scope) {
            Some(slot) if slot.is_start(starting) => *slot = Slot::Ready(instance),
            _ => return Err(instance),
        }
        drop(slots);
        self.health.answered(self.outfit.parts.clock.now());
        self.observe();
        Ok(())
    }

    /// Notes that a start failed, after `failures` before it.
    pub(super) fn not_started(
        &self,
        scope: &Scope,
        failures: u32,
        error: &UpstreamError,
        starting: &watch::Receiver<Outcome>,
    ) {
        let count = failures.saturating_add(1);
        // Consent comes from outside at any moment and must work at once.
        let wait = match error {
            UpstreamError::NeedsConsent { .. } => Duration::ZERO,
            _ => backoff::delay(count),
        };
        if let Some(slot) = self.slots().by_scope.get_mut(scope)
            && slot.is_start(starting)
        {
            *slot = Slot::Failed(Failure { count, until: Instant::now() + wait, error: error.clone() });
        }
        self.health.failed(error);
        self.observe();
    }

    /// An instance that ended by itself is restarted at once the first time.
    fn failure_of_ended(&self, instance: &Instance, reason: &str) -> Failure {
        let count = instance.failures_with_its_end();
        let until = Instant::now() + backoff::delay(count.saturating_sub(1));
        Failure { count, until, error: self.unreachable(reason) }
    }

    /// Notes that the link of an instance has ended.
    pub(super) fn instance_ended(&self, scope: &Scope, reason: &str) {
        let mut slots = self.slots();
        let Some(slot) = slots.by_scope.get_mut(scope) else { return };
        // A successor that is well stays.
        let Slot::Ready(instance) = &*slot else { return };
        if !instance.connection.is_closed() {
            return;
        }
        if matches!(instance.connection, Connection::Http(_)) {
            // The server has forgotten the session; the next call makes a new one.
            slots.by_scope.remove(scope);
            drop(slots);
            self.observe();
            return;
        }
        *slot = Slot::Failed(self.failure_of_ended(instance, reason));
        drop(slots);
        tracing::warn!(server = %self.spec.name, reason, "a server's instance ended by itself");
        self.health.failed(&UpstreamError::Closed { reason: reason.to_owned() });
        self.observe();
    }

    /// Notes what an exchange over `instance` met.
    pub(super) fn failed(&self, error: &UpstreamError, instance: &Arc<Instance>) {
        if matches!(error, UpstreamError::SessionLost) {
            self.drop_instance(instance);
        }
        if self.health.failed(error) {
            self.observe();
        }
    }

    /// Notes that an exchange was answered.
    pub(super) fn answered(&self) {
        if self.health.answered(self.outfit.parts.clock.now()) {
            self.observe();
        }
    }

    /// Lets go of an instance whose session the server has forgotten. One
    /// whose link has ended stays until its end has been counted.
    fn drop_instance(&self, instance: &Arc<Instance>) {
        if !instance.connection.is_closed() {
            self.take_out(instance, |_| true);
        }
    }

    /// Takes `instance` out of its slot when it still stands there and `wanted` says so.
    fn take_out(&self, instance: &Arc<Instance>, wanted: impl FnOnce(&Instance) -> bool) -> bool {
        let mut slots = self.slots();
        let stands = matches!(slots.by_scope.get(&instance.owner.key().scope), Some(Slot::Ready(there)) if Arc::ptr_eq(there, instance));
        let taken =
            stands && wanted(instance) && slots.by_scope.remove(&instance.owner.key().scope).is_some();
        drop(slots);
        if taken {
            self.observe();
        }
        taken
    }

    /// Takes out `instance` when nobody has used it for the server's idle time.
    pub(super) fn take_out_idle(&self, instance: &Arc<Instance>) -> bool {
        self.take_out(instance, |instance| {
            instance.idle_for().is_some_and(|idle| idle >= self.spec.idle_timeout)
        })
    }

    /// Takes no more requests; instances stop once theirs are answered, or soon anyway.
    pub(super) fn retire(&self, reason: &'static str) {
        let instances = self.take_all();
        self.close_later(instances, reason, DRAIN);
    }

    /// Takes no more requests and waits until every instance has stopped.
    pub(super) async fn stop(&self, reason: &str) {
        let instances = self.take_all();
        futures_util::future::join_all(instances.iter().map(|instance| instance.connection.close(reason)))
            .await;
    }

    fn take_all(&self) -> Vec<Arc<Instance>> {
        let mut slots = self.slots();
        slots.retired = true;
        slots.by_scope.drain().filter_map(|(_, slot)| slot.ready()).collect()
    }

    fn close_later(&self, instances: Vec<Arc<Instance>>, reason: &'static str, patience: Duration) {
        for instance in instances {
            self.outfit.tasks.spawn(async move {
                instance.unused(patience).await;
                instance.connection.close(reason).await;
            });
        }
        self.observe();
    }

    pub(super) fn state(&self) -> ServerState {
        let counts = self.counts();
        let (state, since) = self.health.observe(counts, self.outfit.parts.clock.now());
        let (kind, target) = target(&self.spec);
        ServerState {
            name: self.spec.name.clone(),
            kind,
            target,
            state,
            since,
            instances: counts.ready,
            last_exchange: self.health.last_exchange(),
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for slot in self.slots().by_scope.values() {
            match slot {
                Slot::Ready(_) => counts.ready += 1,
                Slot::Starting(_) => counts.starting += 1,
                Slot::Failed(_) => {}
            }
        }
        counts
    }

    fn observe(&self) {
        self.health.observe(self.counts(), self.outfit.parts.clock.now());
    }

    fn unreachable(&self, reason: &str) -> UpstreamError {
        UpstreamError::Unreachable { server: self.spec.name.clone(), reason: reason.to_owned() }
    }
}

impl Failure {
    /// # Errors
    /// The failure itself, until its wait is over.
    fn wait_over(&self) -> Result<(), Refused> {
        if Instant::now() < self.until { Err(Refused::Error(self.error.clone())) } else { Ok(()) }
    }
}

impl Slot {
    fn is_start(&self, start: &watch::Receiver<Outcome>) -> bool {
        matches!(self, Self::Starting(starting) if starting.same_channel(start))
    }

    fn is_kept(&self) -> bool {
        matches!(self, Self::Ready(instance) if instance.is_kept())
    }

    fn ready(self) -> Option<Arc<Instance>> {
        match self {
            Self::Ready(instance) => Some(instance),
            Self::Starting(_) | Self::Failed(_) => None,
        }
    }
}
