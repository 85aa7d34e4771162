//! The hub: profiles, servers, sessions and the catalogue between them.

mod connected;
#[cfg(test)]
pub(crate) mod fixture;
mod follow;
mod inspect;
mod own_lists;
mod questions;
mod subscriptions;
mod views;
mod warm;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use trunkline_model::{Clock, Instances, ProfileAuth, ProfileName, ProfileSpec, ServerName, ServerSpec};
use trunkline_oauth::Base;
use trunkline_oauth::client::Connections;
use trunkline_oauth::metadata::protected_resource_url;
use trunkline_oauth::resource::Resource;
use trunkline_profiles::{EffectiveProfile, Guard, ProfileError};
use trunkline_storage::Sealer;
use trunkline_web::{Egress, Tasks};
use uuid::Uuid;

use crate::bridge::live_tasks::LiveTasks;
use crate::bridge::suspended::Suspended;
use crate::catalog::page::Listings;
use crate::catalog::{Catalog, ListChanged};
use crate::downstream::session::{Session, Sessions};
use crate::downstream::subscriber::Subscribers;
use crate::method::Request;
use crate::upstream::pool::{self, Lease, Upstreams};
use crate::upstream::{InstanceKey, ServerEvent, UpstreamError};
use views::{ViewCell, ViewKey};

pub(crate) use follow::is_of_instance;
pub use inspect::{Missing, Probe, ShownTool};
pub(crate) use subscriptions::NotSubscribed;
use subscriptions::Subscriptions;

/// Bounds that the operator sets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest request body taken, in bytes.
    pub request_bytes: usize,
    /// How long the first list waits for servers that are still starting.
    pub list_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes: 4 << 20, list_wait: Duration::from_secs(5) }
    }
}

/// What the hub is made of.
#[derive(Debug)]
pub struct Parts {
    pub guard: Arc<Guard>,
    pub resource: Arc<Resource>,
    /// Seals session ids.
    pub session_sealer: Sealer,
    /// Seals what servers want to get back from clients, and ids of tasks.
    pub state_sealer: Sealer,
    /// Gives credentials of authorization servers; without it such servers wait for consent.
    pub connections: Option<Arc<Connections>>,
    pub clock: Arc<dyn Clock>,
    pub egress: Egress,
    pub limits: Limits,
    pub upstream_limits: crate::upstream::Limits,
    /// The environment that every child gets besides what is declared.
    pub base_environment: Arc<[(OsString, OsString)]>,
    /// Where clients reach the hub.
    pub base: Base,
    pub tasks: Tasks,
}

/// The catalogue and the profiles of a configuration.
#[derive(Debug, Clone, Default)]
pub struct HubConfig {
    pub servers: Vec<ServerSpec>,
    pub profiles: Vec<ProfileSpec>,
}

/// The MCP hub.
#[derive(Debug)]
pub struct Hub {
    pub(crate) guard: Arc<Guard>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) sessions: Sessions,
    /// Calls that wait for answers of their clients.
    pub(crate) suspended: Suspended,
    /// Tasks that callers have begun.
    pub(crate) live_tasks: LiveTasks,
    /// Seals what servers want to get back from clients, and ids of tasks.
    pub(crate) state_sealer: Sealer,
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) tasks: Tasks,
    /// Cancelled when the hub stops: open streams end.
    pub(crate) stopping: CancellationToken,
    catalog: Arc<Catalog>,
    settings: ArcSwap<Settings>,
    views: Mutex<HashMap<ViewKey, Arc<ViewCell>>>,
    listings: Arc<Listings>,
    base: Base,
}

#[derive(Debug, Default)]
struct Settings {
    profiles: HashMap<ProfileName, Arc<EffectiveProfile>>,
    /// Those with a server that has an instance for each session.
    per_session: HashSet<ProfileName>,
}

impl Hub {
    /// A hub with an empty catalogue; [`Hub::apply`] fills it.
    pub fn start(parts: Parts) -> Arc<Self> {
        let tasks = parts.tasks;
        let (events, arriving) = mpsc::channel(4_096);
        let upstreams = Upstreams::new(pool::Parts {
            clock: Arc::clone(&parts.clock),
            egress: parts.egress,
            connections: parts.connections.clone(),
            limits: parts.upstream_limits,
            base_environment: parts.base_environment,
            events,
        });
        let (catalog, changes) = Catalog::new(
            Arc::clone(&upstreams),
            Arc::clone(&parts.guard),
            Arc::clone(&parts.clock),
            tasks.clone(),
        );
        let subscribers = Arc::new(Subscribers::default());
        let hub = Arc::new(Self {
            sessions: Sessions::new(parts.session_sealer, Arc::clone(&parts.clock), Arc::clone(&subscribers)),
            suspended: Suspended::default(),
            live_tasks: LiveTasks::default(),
            state_sealer: parts.state_sealer,
            guard: parts.guard,
            resource: parts.resource,
            upstreams,
            subscribers,
            subscriptions: Subscriptions::default(),
            clock: parts.clock,
            limits: parts.limits,
            stopping: tasks.stop_token(),
            tasks,
            catalog,
            settings: ArcSwap::default(),
            views: Mutex::default(),
            listings: Arc::default(),
            base: parts.base,
        });
        hub.run(arriving, changes, parts.connections.as_ref());
        hub
    }

    fn run(
        self: &Arc<Self>,
        arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>,
        changes: mpsc::Receiver<ListChanged>,
        connections: Option<&Arc<Connections>>,
    ) {
        self.tasks.spawn_until_stop(follow::hear(Arc::clone(self), arriving));
        self.tasks.spawn_until_stop(follow::tell(Arc::clone(self), changes));
        self.tasks.spawn_until_stop(follow::sweep(Arc::clone(self)));
        if let Some(connections) = connections {
            let changes = connections.subscribe();
            self.tasks.spawn_until_stop(connected::follow(Arc::clone(self), changes));
        }
    }

    /// Takes over a new catalogue and new profiles: all of it or nothing.
    /// Servers that did not change keep their instances.
    ///
    /// # Errors
    /// [`ProfileError`] when a profile cannot be compiled; the old one stays.
    pub fn apply(self: &Arc<Self>, config: HubConfig) -> Result<(), ProfileError> {
        let mut profiles = HashMap::new();
        for spec in &config.profiles {
            profiles.insert(spec.name.clone(), Arc::new(EffectiveProfile::new(spec)?));
        }
        let before: Vec<_> = config.servers.iter().map(|spec| self.upstreams.spec(&spec.name)).collect();
        let names: Vec<_> = config.servers.iter().map(|spec| spec.name.clone()).collect();
        let of_session = |server: &ServerName| {
            config.servers.iter().any(|spec| spec.name == *server && spec.instances == Instances::PerSession)
        };
        let per_session = config.profiles.iter().filter(|profile| profile.servers.keys().any(of_session));
        let per_session = per_session.map(|profile| profile.name.clone()).collect();
        self.upstreams.apply(config.servers);
        self.settings.store(Arc::new(Settings { profiles, per_session }));
        // What another server listed under the same name says nothing of this one.
        for (name, before) in names.iter().zip(before) {
            let now = self.upstreams.spec(name);
            let same = matches!((&before, &now), (Some(before), Some(now)) if Arc::ptr_eq(before, now));
            if !same {
                self.catalog.forget(name);
            }
        }
        self.catalog.sweep();
        self.forget_views_of_gone_profiles();
        let mut listening = Vec::new();
        self.subscribers.each(|subscriber| listening.push(Arc::clone(subscriber)));
        self.catalog.configured_anew(listening);
        Ok(())
    }

    /// Stops every child and waits until each is gone. Open streams end with
    /// the process's tasks.
    pub async fn stop(&self) {
        self.upstreams.stop_all().await;
    }

    /// The servers' states, for people.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// How many tools a server listed last; none when it never did.
    pub fn tool_count(&self, server: &ServerName) -> Option<usize> {
        self.catalog.tool_count(server)
    }

    /// The profile of that name.
    pub fn profile(&self, name: &str) -> Option<Arc<EffectiveProfile>> {
        self.settings.load().profiles.get(name).cloned()
    }

    /// Every profile, by name.
    pub fn profiles(&self) -> Vec<Arc<EffectiveProfile>> {
        let mut profiles: Vec<_> = self.settings.load().profiles.values().cloned().collect();
        profiles.sort_by(|one, other| one.name().cmp(other.name()));
        profiles
    }

    pub(crate) fn call_timeout(&self, server: &ServerName) -> Duration {
        self.upstreams.spec(server).map_or(Duration::from_mins(1), |spec| spec.call_timeout)
    }

    /// Where the protected-resource metadata of a profile is (RFC 9728).
    pub(crate) fn resource_metadata(
        &self,
        profile: &ProfileName,
        host: Option<&HeaderValue>,
    ) -> Option<String> {
        let known = self.profile(profile.as_str())?;
        (known.auth() == ProfileAuth::Oauth)
            .then(|| protected_resource_url(self.base.named_by(host), profile))
    }

    /// An instance of a server that serves this request, and which it is.
    pub(crate) async fn connection(
        &self,
        server: &ServerName,
        request: &Request,
    ) -> Result<(InstanceKey, Lease), UpstreamError> {
        let session = request.session.as_ref().map(|session| session.id);
        self.upstreams.connection_for(server, request.caller.identity(), session, &request.offer()).await
    }

    /// Ends a downstream session and what was held for it alone.
    pub(crate) fn end_session(self: &Arc<Self>, token: &str, session: &Session) {
        self.unsubscribe(&session.subscriber, None);
        self.sessions.end(token, session);
        self.forget_sessions(&HashSet::from([session.id]));
    }
}

impl Hub {
    /// Ends what is held for downstream sessions that are no more.
    fn forget_sessions(&self, ended: &HashSet<Uuid>) {
        for session in ended {
            self.upstreams.end_session(*session);
        }
        self.views().retain(|key, _| !key.is_of_any(ended));
    }
}

fn unknown(server: &ServerName) -> UpstreamError {
    UpstreamError::Unreachable { server: server.clone(), reason: "it is not in the catalogue".to_owned() }
}

#[cfg(test)]
mod tests;
