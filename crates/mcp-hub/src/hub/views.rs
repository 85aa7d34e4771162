//! Each caller's view of a profile, and what a name in it stands for.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use trunkline_model::{Identity, ProfileName, Timestamp};
use trunkline_profiles::EffectiveProfile;
use uuid::Uuid;

use super::Hub;
use crate::catalog::ListKind;
use crate::catalog::cell::ListCell;
use crate::catalog::names::SEPARATOR;
use crate::catalog::page::Listings;
use crate::catalog::resources::ResourceTarget;
use crate::catalog::view::{self, Target, View};
use crate::downstream::subscriber::Subscriber;
use crate::method::Request;
use crate::upstream::{InstanceKey, Offer};

/// Views that nobody used for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_mins(30);

/// Whose view it is; the session counts only where a server has an instance
/// for each session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ViewKey {
    profile: ProfileName,
    identity: Identity,
    session: Option<Uuid>,
    offer: Offer,
}

impl ViewKey {
    pub(super) fn is_of_any(&self, sessions: &HashSet<Uuid>) -> bool {
        self.session.is_some_and(|session| sessions.contains(&session))
    }
}

/// A view and the lists it is made of.
#[derive(Debug)]
pub(super) struct ViewCell {
    profile: Arc<EffectiveProfile>,
    pub(super) cells: Vec<Arc<ListCell>>,
    listings: Arc<Listings>,
    built: ArcSwap<(u64, Arc<View>)>,
    last_used: AtomicI64,
    /// The lists as they were when those who listen were told last, or when
    /// they were first looked at.
    told: Mutex<Option<[u64; 5]>>,
}

impl ViewCell {
    /// Which lists are not what those who listen were told last; from here on
    /// they have been told.
    pub(super) fn changes(&self) -> Vec<ListKind> {
        let now = self.current().digests();
        let before = self.told().replace(now).unwrap_or(now);
        let kinds = ListKind::ALL.into_iter().zip(before.into_iter().zip(now));
        kinds.filter(|(_, (before, now))| before != now).map(|(kind, _)| kind).collect()
    }

    /// [`Self::changes`] after a change of the configuration: what a server
    /// lists that has not been asked yet may be anything.
    pub(super) fn changes_of_configuration(&self) -> Vec<ListKind> {
        let known = self.changes();
        if self.cells.iter().all(|list| list.has_lists()) { known } else { ListKind::ALL.to_vec() }
    }

    fn told(&self) -> MutexGuard<'_, Option<[u64; 5]>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view of what the lists are now; built again only when one changed.
    pub(super) fn current(&self) -> Arc<View> {
        let generation = self.cells.iter().map(|cell| cell.generation()).sum::<u64>() + 1;
        let built = self.built.load();
        if built.0 == generation {
            return Arc::clone(&built.1);
        }
        let view = Arc::new(View::build(&self.profile, &self.cells, &self.listings));
        self.told().get_or_insert_with(|| view.digests());
        self.built.store(Arc::new((generation, Arc::clone(&view))));
        view
    }
}

impl Hub {
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
        self.look_at_own_lists(request).await;
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

    /// [`Self::tool`], after the instance has been asked again what it lists.
    pub(crate) async fn tool_listed_anew(
        &self,
        request: &Request,
        instance: &InstanceKey,
        name: &str,
    ) -> Option<Arc<Target>> {
        self.catalog.changed(instance);
        self.catalog.cell(instance).settled(self.limits.list_wait).await;
        self.tool(request, name).await
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
        if let Some(target) = find(&cell.current(), name) {
            return Some(Arc::clone(target));
        }
        self.look_at_own_lists(request).await;
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
        if let Some(target) = self.resource_now(request, uri) {
            return Some(target);
        }
        self.listed_view(request).await.resource(uri)
    }

    /// The server behind a resource URI, as far as it is known now.
    pub(crate) fn resource_now(&self, request: &Request, uri: &str) -> Option<ResourceTarget> {
        if view::is_transparent(&request.profile) {
            let (server, _) = request.profile.servers().next()?;
            return Some(ResourceTarget { server: server.clone(), uri: uri.to_owned() });
        }
        self.view_now(request).resource(uri)
    }

    pub(super) fn view_cell(&self, request: &Request) -> Arc<ViewCell> {
        let session = request.session.as_ref();
        let session = session.and_then(|session| self.session_of_view(&request.profile, &session.subscriber));
        self.view_cell_of(&request.profile, request.caller.identity(), session, &request.offer())
    }

    /// What somebody who listens is shown; none when the profile is gone.
    pub(super) fn view_cell_for(&self, subscriber: &Subscriber) -> Option<Arc<ViewCell>> {
        let profile = self.profile(subscriber.profile().as_str())?;
        let offer = subscriber.offer.get().cloned().unwrap_or_default();
        let session = self.session_of_view(&profile, subscriber);
        Some(self.view_cell_of(&profile, subscriber.caller.identity(), session, &offer))
    }

    /// The session, where it is shown other lists than others of its caller.
    fn session_of_view(&self, profile: &EffectiveProfile, subscriber: &Subscriber) -> Option<Uuid> {
        let alone = subscriber.has_own_lists.load(Ordering::Relaxed)
            || self.settings.load().per_session.contains(profile.name());
        subscriber.session.filter(|_| alone)
    }

    pub(super) fn view_cell_of(
        &self,
        profile: &Arc<EffectiveProfile>,
        identity: &Identity,
        session: Option<Uuid>,
        offer: &Offer,
    ) -> Arc<ViewCell> {
        let key = ViewKey {
            profile: profile.name().clone(),
            identity: identity.clone(),
            session,
            offer: offer.clone(),
        };
        let now = self.clock.now();
        let mut views = self.views();
        if let Some(cell) = views.get(&key)
            && Arc::ptr_eq(&cell.profile, profile)
        {
            cell.last_used.store(now.as_micros(), Ordering::Relaxed);
            return Arc::clone(cell);
        }
        let cells = profile
            .servers()
            .filter_map(|(server, _)| self.list_cell(server, identity, session, offer))
            .collect();
        let built = ArcSwap::from_pointee((0, Arc::new(View::default())));
        let last_used = AtomicI64::new(now.as_micros());
        let cell = Arc::new(ViewCell {
            profile: Arc::clone(profile),
            cells,
            listings: Arc::clone(&self.listings),
            built,
            last_used,
            // Those who listen were told of what the profile showed before it changed.
            told: Mutex::new(views.get(&key).and_then(|before| *before.told())),
        });
        views.insert(key, Arc::clone(&cell));
        cell
    }

    /// Forgets the views that nobody used for a while. The lists of the
    /// others stay, and so do those that somebody waits to hear of.
    pub(super) fn sweep_views(&self) {
        let now = self.clock.now();
        let mut listening = HashSet::new();
        self.subscribers.each(|subscriber| {
            listening.insert((subscriber.profile().clone(), subscriber.caller.identity().clone()));
        });
        self.views().retain(|key, view| {
            let idle = now.since(Timestamp::from_micros(view.last_used.load(Ordering::Relaxed)));
            let keep =
                idle < FORGET_AFTER || listening.contains(&(key.profile.clone(), key.identity.clone()));
            if keep {
                view.cells.iter().for_each(|list| list.touch(now));
            }
            keep
        });
    }

    /// Those of a profile that is there still are made anew when they are looked at.
    pub(super) fn forget_views_of_gone_profiles(&self) {
        self.views().retain(|key, _| self.profile(key.profile.as_str()).is_some());
    }

    pub(super) fn views(&self) -> std::sync::MutexGuard<'_, HashMap<ViewKey, Arc<ViewCell>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { Some(name) } else { name.strip_prefix(prefix)?.strip_prefix(SEPARATOR) }
}
