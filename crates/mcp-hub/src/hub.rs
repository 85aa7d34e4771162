//! The hub: profiles, servers, sessions and the catalogue between them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use trunkline_model::{
    Caller, Clock, Identity, Instances, ProfileAuth, ProfileName, ProfileSpec, ServerName, ServerSpec,
};
use trunkline_oauth::metadata::protected_resource_url;
use trunkline_oauth::resource::Resource;
use trunkline_profiles::{EffectiveProfile, Guard, ProfileError};
use trunkline_storage::Sealer;
use trunkline_web::{Egress, Tasks};
use url::Url;
use uuid::Uuid;

use crate::catalog::cell::ListCell;
use crate::catalog::names::SEPARATOR;
use crate::catalog::resources::ResourceTarget;
use crate::catalog::view::{self, Target, View};
use crate::catalog::{Catalog, ListChanged, ListKind};
use crate::downstream::session::{Session, Sessions};
use crate::downstream::subscriber::Subscribers;
use crate::method::Request;
use crate::upstream::pool::{self, Upstreams};
use crate::upstream::{InstanceKey, ServerEvent, UpstreamError};

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
    pub clock: Arc<dyn Clock>,
    pub egress: Egress,
    pub limits: Limits,
    pub upstream_limits: crate::upstream::Limits,
    /// The environment that every child gets besides what is declared.
    pub base_environment: Arc<[(OsString, OsString)]>,
    /// Where clients reach the hub.
    pub public_url: Url,
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
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) tasks: Tasks,
    /// Cancelled when the hub stops: open streams end.
    pub(crate) stopping: CancellationToken,
    catalog: Arc<Catalog>,
    settings: ArcSwap<Settings>,
    views: Mutex<HashMap<ViewKey, Arc<ViewCell>>>,
    public_url: Url,
}

#[derive(Debug, Default)]
struct Settings {
    profiles: HashMap<ProfileName, Arc<EffectiveProfile>>,
}

/// Whose view it is; the session counts only where a server has an instance
/// for each session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ViewKey {
    profile: ProfileName,
    identity: Identity,
    session: Option<Uuid>,
}

/// A view and the lists it is made of.
#[derive(Debug)]
struct ViewCell {
    profile: Arc<EffectiveProfile>,
    cells: Vec<Arc<ListCell>>,
    built: ArcSwap<(u64, Arc<View>)>,
}

impl ViewCell {
    /// The view of what the lists are now; built again only when one changed.
    fn current(&self) -> Arc<View> {
        let generation = self.cells.iter().map(|cell| cell.generation()).sum::<u64>() + 1;
        let built = self.built.load();
        if built.0 == generation {
            return Arc::clone(&built.1);
        }
        let view = Arc::new(View::build(&self.profile, &self.cells));
        self.built.store(Arc::new((generation, Arc::clone(&view))));
        view
    }
}

impl Hub {
    /// A hub with an empty catalogue; [`Hub::apply`] fills it.
    pub fn start(parts: Parts) -> Arc<Self> {
        let tasks = parts.tasks;
        let (events, arriving) = mpsc::channel(4_096);
        let upstreams = Upstreams::new(pool::Parts {
            clock: Arc::clone(&parts.clock),
            egress: parts.egress,
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
            guard: parts.guard,
            resource: parts.resource,
            upstreams,
            subscribers,
            clock: parts.clock,
            limits: parts.limits,
            stopping: tasks.stop_token(),
            tasks,
            catalog,
            settings: ArcSwap::default(),
            views: Mutex::default(),
            public_url: parts.public_url,
        });
        hub.run(arriving, changes);
        hub
    }

    fn run(
        self: &Arc<Self>,
        arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>,
        changes: mpsc::Receiver<ListChanged>,
    ) {
        self.tasks.spawn_until_stop(hear(Arc::clone(self), arriving));
        self.tasks.spawn_until_stop(tell(Arc::clone(self), changes));
        self.tasks.spawn_until_stop(sweep(Arc::clone(self)));
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
        self.upstreams.apply(config.servers);
        self.settings.store(Arc::new(Settings { profiles }));
        // What another server listed under the same name says nothing of this one.
        for (name, before) in names.iter().zip(before) {
            let now = self.upstreams.spec(name);
            let same = matches!((&before, &now), (Some(before), Some(now)) if Arc::ptr_eq(before, now));
            if !same {
                self.catalog.forget(name);
            }
        }
        self.catalog.sweep();
        self.views().clear();
        self.subscribers.each(|subscriber| {
            for kind in ListKind::ALL {
                subscriber.list_changed(kind);
            }
        });
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

    /// Live sessions of legacy clients in this process.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
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
    pub(crate) fn resource_metadata(&self, profile: &ProfileName) -> Option<String> {
        let known = self.profile(profile.as_str())?;
        (known.auth() == ProfileAuth::Oauth).then(|| protected_resource_url(&self.public_url, profile))
    }

    /// The instance of a server that serves this caller.
    pub(crate) fn instance_key(
        &self,
        server: &ServerName,
        caller: &Caller,
        session: Option<&Session>,
    ) -> Result<InstanceKey, UpstreamError> {
        let key = self.upstreams.key(server, caller.identity(), session.map(|session| session.id));
        key.ok_or_else(|| unknown(server))
    }

    /// The view as it is now; the servers it lacks are asked behind it.
    pub(crate) fn view_now(&self, request: &Request) -> Arc<View> {
        let cell = self.view_cell(request);
        for list in &cell.cells {
            self.catalog.refresh(list);
        }
        cell.current()
    }

    /// The view for a list: waits for servers that are asked for the first time.
    pub(crate) async fn listed_view(&self, request: &Request) -> Arc<View> {
        let cell = self.view_cell(request);
        for list in &cell.cells {
            self.catalog.refresh(list);
        }
        let missing: Vec<_> = cell.cells.iter().filter(|list| !list.has_lists()).collect();
        if !missing.is_empty() {
            join_all(missing.iter().map(|list| list.first_answer(self.limits.list_wait))).await;
            for list in missing.iter().filter(|list| !list.has_lists()) {
                list.note_missed();
            }
        }
        cell.current()
    }

    /// The tool behind a name that the caller used.
    pub(crate) async fn tool(&self, request: &Request, name: &str) -> Option<Arc<Target>> {
        self.named(request, name, View::tool).await
    }

    /// The prompt behind a name that the caller used.
    pub(crate) async fn prompt(&self, request: &Request, name: &str) -> Option<Arc<Target>> {
        self.named(request, name, View::prompt).await
    }

    async fn named(
        &self,
        request: &Request,
        name: &str,
        find: impl for<'a> Fn(&'a View, &str) -> Option<&'a Arc<Target>>,
    ) -> Option<Arc<Target>> {
        let cell = self.view_cell(request);
        let listed = || find(&cell.current(), name).cloned();
        if let Some(target) = listed() {
            return Some(target);
        }
        if view::is_transparent(&request.profile) {
            // What the server does not list it may know all the same.
            let (server, _) = request.profile.servers().next()?;
            return Some(
                self.when_listed(&cell, listed).await.unwrap_or_else(|| Target::unlisted(server, name)),
            );
        }
        // The name may be of a server that has not listed anything yet, or
        // that is listing anew: that one alone is waited for.
        for list in cell.cells.iter().filter(|list| !list.is_fresh()) {
            let server = &list.key.server;
            let prefix = request.profile.selection(server)?.prefix.as_deref().unwrap_or(server.as_str());
            let Some(rest) = after_prefix(name, prefix) else { continue };
            self.catalog.refresh(list);
            list.settled(self.limits.list_wait).await;
            if let Some(target) = listed() {
                return Some(target);
            }
            if !list.has_lists() && !prefix.is_empty() {
                // The call itself says why the server cannot be asked.
                return Some(Target::unlisted(server, rest));
            }
        }
        // A list may have become fresh between the two looks.
        listed()
    }

    /// Looks again once the profile's servers have listed something.
    async fn when_listed<T>(&self, cell: &ViewCell, look: impl Fn() -> Option<T>) -> Option<T> {
        for list in cell.cells.iter().filter(|list| !list.has_lists()) {
            self.catalog.refresh(list);
            list.first_answer(self.limits.list_wait).await;
        }
        look()
    }

    /// The server behind a resource URI that the caller used.
    pub(crate) async fn resource(&self, request: &Request, uri: &str) -> Option<ResourceTarget> {
        if view::is_transparent(&request.profile) {
            let (server, _) = request.profile.servers().next()?;
            return Some(ResourceTarget { server: server.clone(), uri: uri.to_owned() });
        }
        if let Some(target) = self.view_now(request).resource(uri) {
            return Some(target);
        }
        self.listed_view(request).await.resource(uri)
    }

    /// Tells the servers which log messages the caller's sessions want.
    pub(crate) fn spread_log_level(self: &Arc<Self>, request: &Request) {
        let level = self.sessions.lowest_level(&request.caller.identity());
        let cell = self.view_cell(request);
        for (server, greeting) in &cell.current().greetings {
            let logs = view::has_capability(&greeting.capabilities, "logging");
            let key = self.instance_key(server, &request.caller, request.session.as_deref());
            if let (true, crate::upstream::Era::Legacy, Ok(key)) = (logs, greeting.era, key) {
                let hub = Arc::clone(self);
                self.tasks.spawn(async move { hub.send_log_level(&key, level).await });
            }
        }
    }

    async fn send_log_level(&self, key: &InstanceKey, level: u8) {
        let id = crate::upstream::next_id();
        let Some(body) = crate::method::set_level_request(id, level) else { return };
        let permit = self.guard.housekeeping(&key.server);
        let outgoing = crate::upstream::Outgoing {
            id,
            method: "logging/setLevel".to_owned(),
            body,
            name: None,
            param_headers: Vec::new(),
        };
        let sent = match self.upstreams.connection(key).await {
            Ok(lease) => lease.call(&permit, outgoing).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(server = %key.server, %error, "the log level could not be passed on");
        }
    }

    /// Ends a downstream session and what was held for it alone.
    pub(crate) fn end_session(&self, token: &str, session: &Session) {
        self.sessions.end(token, session);
        self.upstreams.end_session(session.id);
    }

    /// The tools that a profile shows, for people. None when there is no such
    /// profile.
    pub async fn tools_of(&self, profile: &str) -> Option<(Vec<ShownTool>, Vec<Missing>)> {
        let profile = self.profile(profile)?;
        let cell = self.view_cell_of(&profile, &Identity::hub(), None);
        for list in &cell.cells {
            self.catalog.refresh(list);
        }
        join_all(cell.cells.iter().map(|list| list.first_answer(self.limits.list_wait))).await;
        let view = cell.current();
        let mut tools: Vec<ShownTool> = view
            .tools()
            .map(|(name, target)| ShownTool {
                name: name.clone(),
                server: target.server.clone(),
                original: target.own.clone(),
                description: target.description.clone(),
            })
            .collect();
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        let missing = view.gaps.iter().map(|gap| Missing {
            server: gap.server.clone(),
            state: gap.state,
            detail: gap.detail.clone(),
        });
        Some((tools, missing.collect()))
    }

    /// Asks a server for all that it lists, now, as the hub itself.
    ///
    /// # Errors
    /// [`UpstreamError`] says what the server did not do.
    pub async fn probe(&self, server: &ServerName) -> Result<Probe, UpstreamError> {
        let key = self.upstreams.key(server, Identity::hub(), None).ok_or_else(|| unknown(server))?;
        let lists = self.catalog.fetch_all(&key).await?;
        let name_of = |entry: &crate::catalog::lists::Entry| entry.key.clone();
        Ok(Probe {
            protocol_version: lists.greeting.protocol_version.clone(),
            server_info: lists
                .greeting
                .server_info
                .as_deref()
                .and_then(|raw| serde_json::from_slice(raw).ok()),
            tools: lists.tools.iter().map(name_of).collect(),
            prompts: lists.prompts.iter().map(name_of).collect(),
            resources: lists.resources.iter().map(name_of).collect(),
            templates: lists.templates.iter().map(name_of).collect(),
        })
    }

    fn view_cell(&self, request: &Request) -> Arc<ViewCell> {
        let session = request.session.as_ref().map(|session| session.id);
        self.view_cell_of(&request.profile, &request.caller.identity(), session)
    }

    fn view_cell_of(
        &self,
        profile: &Arc<EffectiveProfile>,
        identity: &Identity,
        session: Option<Uuid>,
    ) -> Arc<ViewCell> {
        let of_session = profile.servers().any(|(server, _)| {
            self.upstreams.spec(server).is_some_and(|spec| spec.instances == Instances::PerSession)
        });
        let key = ViewKey {
            profile: profile.name().clone(),
            identity: identity.clone(),
            session: session.filter(|_| of_session),
        };
        let mut views = self.views();
        if let Some(cell) = views.get(&key)
            && Arc::ptr_eq(&cell.profile, profile)
        {
            return Arc::clone(cell);
        }
        let cells = profile
            .servers()
            .filter_map(|(server, _)| self.upstreams.key(server, identity.clone(), session))
            .map(|key| self.catalog.cell(&key))
            .collect();
        let built = ArcSwap::from_pointee((0, Arc::new(View::default())));
        let cell = Arc::new(ViewCell { profile: Arc::clone(profile), cells, built });
        views.insert(key, Arc::clone(&cell));
        cell
    }

    fn views(&self) -> std::sync::MutexGuard<'_, HashMap<ViewKey, Arc<ViewCell>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tool as a profile shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ShownTool {
    pub name: String,
    pub server: ServerName,
    pub original: String,
    pub description: Option<String>,
}

/// A server whose part of a profile's lists is not there, and why.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Missing {
    pub server: ServerName,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a server said when it was asked for everything.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Probe {
    pub protocol_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_info: Option<serde_json::Value>,
    pub tools: Vec<String>,
    pub prompts: Vec<String>,
    pub resources: Vec<String>,
    pub templates: Vec<String>,
}

fn unknown(server: &ServerName) -> UpstreamError {
    UpstreamError::Unreachable { server: server.clone(), reason: "it is not in the catalogue".to_owned() }
}

fn after_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { Some(name) } else { name.strip_prefix(prefix)?.strip_prefix(SEPARATOR) }
}

/// Hears what servers say without having been asked.
async fn hear(hub: Arc<Hub>, mut arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>) {
    while let Some((key, event)) = arriving.recv().await {
        match event {
            ServerEvent::Notification(message) => {
                let changed = ListKind::ALL.iter().any(|kind| message.method() == Some(kind.changed()));
                if changed {
                    hub.catalog.changed(&key);
                } else {
                    hub.pass_on(&key, &message);
                }
            }
            ServerEvent::Closed { reason } => {
                tracing::info!(server = %key.server, reason, "the connection to a server ended");
            }
        }
    }
}

impl Hub {
    /// Gives a notification to the legacy sessions that the instance serves.
    fn pass_on(&self, key: &InstanceKey, message: &crate::jsonrpc::Message) {
        let is_log = match message.method() {
            Some("notifications/message") => true,
            // Subscriptions to single resources are not served.
            Some(
                "notifications/resources/updated" | "notifications/progress" | "notifications/cancelled",
            ) => {
                return;
            }
            _ => false,
        };
        let settings = self.settings.load();
        self.subscribers.each(|subscriber| {
            let concerned = subscriber.session.is_some()
                && subscriber.sees(key)
                && settings
                    .profiles
                    .get(subscriber.profile())
                    .is_some_and(|profile| profile.servers().any(|(server, _)| *server == key.server));
            if concerned
                && (!is_log || crate::method::passes_number(message.payload(), subscriber.log_level()))
            {
                subscriber.push(Bytes::clone(message.bytes()));
            }
        });
    }
}

/// Tells clients whose lists changed.
async fn tell(hub: Arc<Hub>, mut changes: mpsc::Receiver<ListChanged>) {
    while let Some(change) = changes.recv().await {
        let settings = hub.settings.load();
        hub.subscribers.each(|subscriber| {
            let profile = settings.profiles.get(subscriber.profile());
            let concerned = subscriber.sees(&change.key)
                && profile
                    .is_some_and(|profile| profile.servers().any(|(server, _)| *server == change.key.server));
            if concerned {
                for kind in &change.kinds {
                    subscriber.list_changed(*kind);
                }
            }
        });
    }
}

/// Forgets what nobody uses any more.
async fn sweep(hub: Arc<Hub>) {
    let mut minute = tokio::time::interval(Duration::from_mins(1));
    loop {
        minute.tick().await;
        for session in hub.sessions.sweep() {
            hub.upstreams.end_session(session);
        }
        hub.catalog.sweep();
        let now = hub.clock.now();
        hub.views().retain(|_, cell| {
            cell.cells.is_empty()
                || cell.cells.iter().any(|list| list.idle_for(now) < Duration::from_mins(30))
        });
    }
}
