//! What a server lists in one session only.
//!
//! A server that keeps sessions is taken to list the same in each of a
//! caller's, and is asked once for all. When it says in one of them that its
//! lists changed, the client is told at once, and the server is asked in that
//! session as soon as the client wants to know. Lists of its own it has from
//! then on only if they differ.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use trunkline_model::{Identity, ServerName};
use uuid::Uuid;

use super::Hub;
use crate::catalog::ListKind;
use crate::catalog::cell::ListCell;
use crate::method::Request;
use crate::upstream::{InstanceKey, Offer, Scope};

/// What a look at a server's lists in one session showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Same,
    Differs,
}

impl Hub {
    /// Takes word of an instance that its lists changed.
    pub(super) fn lists_changed(self: &Arc<Self>, key: &InstanceKey, method: &str) {
        let Some((identity, session, offer)) = of_session(key) else {
            return self.catalog.changed(key);
        };
        let shared = self.upstreams.lists_key(&key.server, identity.clone(), Some(session), offer);
        let Some(shared) = shared.filter(|shared| shared != key) else {
            return self.catalog.changed(key);
        };
        // It may concern everybody.
        self.catalog.changed(&shared);
        self.catalog.changed_apart(key, &shared);
        self.subscribers.each(|subscriber| {
            if subscriber.session == Some(session) && subscriber.sees(key) {
                subscriber.lists_changed.store(true, Ordering::Relaxed);
                for kind in ListKind::ALL.iter().filter(|kind| kind.changed() == method) {
                    subscriber.list_changed(*kind);
                }
            }
        });
    }

    /// Asks the servers that said in this session that their lists changed
    /// what they are now.
    pub(super) async fn look_at_own_lists(&self, request: &Request) {
        let Some(session) = &request.session else { return };
        let subscriber = &session.subscriber;
        // Whoever asks meanwhile waits for the same, so it stays set until it is known.
        if !subscriber.lists_changed.load(Ordering::Relaxed) {
            return;
        }
        let looks = request.profile.servers().map(|(server, _)| self.look_at(server, request, session.id));
        let looked = join_all(looks).await;
        subscriber.has_own_lists.store(looked.contains(&Looked::Differs), Ordering::Relaxed);
        self.views().retain(|key, _| !key.is_of_any(&[session.id].into()));
        subscriber.lists_changed.store(false, Ordering::Release);
        let servers = request.profile.servers();
        if servers
            .filter_map(|(server, _)| self.own_cell(server, request, session.id))
            .any(|own| own.is_stale())
        {
            subscriber.lists_changed.store(true, Ordering::Release);
        }
    }

    /// The cell of the session alone, where the server has one for it.
    fn own_cell(&self, server: &ServerName, request: &Request, session: Uuid) -> Option<Arc<ListCell>> {
        let (identity, offer) = (request.caller.identity().clone(), request.offer());
        let own = self.upstreams.key(server, identity.clone(), Some(session), &offer)?;
        let shared = self.upstreams.lists_key(server, identity, Some(session), &offer)?;
        if own == shared { None } else { self.catalog.known(&own) }
    }

    /// Whether the server lists something else in this session; what is the
    /// same is forgotten.
    async fn look_at(&self, server: &ServerName, request: &Request, session: Uuid) -> Looked {
        let Some(own) = self.own_cell(server, request, session) else { return Looked::Same };
        let (identity, offer) = (request.caller.identity().clone(), request.offer());
        let shared = self.upstreams.lists_key(server, identity, Some(session), &offer);
        let Some(shared) = shared else { return Looked::Same };
        let shared = self.catalog.cell(&shared);
        for cell in [&own, &shared] {
            self.catalog.refresh(cell);
        }
        tokio::join!(own.settled(self.limits.list_wait), shared.settled(self.limits.list_wait));
        let same =
            own.state().lists.zip(shared.state().lists).is_some_and(|(own, shared)| {
                ListKind::ALL.iter().all(|kind| own.of(*kind) == shared.of(*kind))
            });
        if same && own.is_fresh() {
            self.catalog.forget_cell(&own.key);
        }
        if same { Looked::Same } else { Looked::Differs }
    }

    /// The lists that a view shows of a server.
    pub(super) fn list_cell(
        &self,
        server: &ServerName,
        identity: &Identity,
        session: Option<Uuid>,
        offer: &Offer,
    ) -> Option<Arc<ListCell>> {
        let own = self.upstreams.key(server, identity.clone(), session, offer)?;
        if let Some(known) = self.catalog.known(&own) {
            return Some(known);
        }
        let key = self.upstreams.lists_key(server, identity.clone(), session, offer)?;
        Some(self.catalog.cell(&key))
    }
}

fn of_session(key: &InstanceKey) -> Option<(&Identity, Uuid, &Offer)> {
    match &key.scope {
        Scope::Session(identity, session, offer) => Some((identity, *session, offer)),
        Scope::Everybody | Scope::Identity(..) => None,
    }
}
