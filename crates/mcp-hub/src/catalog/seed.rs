//! Lists that the hub asked for as itself, for callers who are new.
//!
//! Starting a child takes seconds, and each caller has their own. What the hub
//! itself was told is shown to a new caller at once, while the server is asked
//! for that caller; a caller whose own list differs is told that it changed.
//! Another caller's lists are never shown to anybody. The hub asks anew for
//! each kind of client: some servers list other tools to clients that can be
//! asked for more.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use trunkline_model::{ConsentOf, Endpoint, Identity, ServerAuth, ServerName, ServerSpec};

use super::cell::{ListCell, Phase};
use super::lists::ServerLists;
use super::{Catalog, Cells};
use crate::upstream::{InstanceKey, Offer, Scope};

/// How long a caller's own question waits for the hub's: as long as a start may take.
const HUB_FIRST: Duration = Duration::from_mins(1);

impl Catalog {
    /// Asks a server for its lists as the hub itself, unless that has been
    /// done. Waits for them, at most `patience`.
    pub(crate) async fn warm(self: &Arc<Self>, server: &ServerName, patience: Duration) {
        let Some(key) = self.hubs_key(server, &Offer::default()) else { return };
        let cell = self.cell(&key);
        if !cell.has_lists() {
            self.refresh(&cell);
            cell.settled(patience).await;
        }
    }

    /// What a new cell begins with.
    pub(super) fn seed_of(&self, key: &InstanceKey, cells: &Cells) -> Option<Arc<ServerLists>> {
        let hubs = self.hubs_key(&key.server, &offer_of(key)).filter(|hubs| hubs != key)?;
        cells.get(&hubs)?.state().lists
    }

    /// Lets the hub ask before the first caller does, where the child that it
    /// starts for that is then handed to the caller: two children would be
    /// started otherwise, and not sooner.
    pub(super) async fn let_the_hub_ask_first(self: &Arc<Self>, cell: &ListCell) {
        let Some(hubs) = self.hubs_cell(cell).filter(|hubs| self.is_child(&hubs.key.server)) else { return };
        if hubs.state().phase == Phase::New {
            self.refresh(&hubs);
        }
        if !hubs.has_lists() {
            hubs.settled(HUB_FIRST).await;
        }
    }

    /// After `cell` has got its own lists: what the hub was told is given to
    /// those who have nothing yet, and asked for again where it was wrong.
    pub(super) async fn seed_after(self: &Arc<Self>, cell: &Arc<ListCell>, was_wrong: bool) {
        if let Some(hubs) = self.hubs_cell(cell) {
            if was_wrong || !hubs.has_lists() {
                self.refresh(&hubs);
            }
            return;
        }
        let Some(lists) = cell.state().lists else { return };
        for waiting in self.waiting_for(cell) {
            if waiting.seed(&lists) {
                self.tell(&waiting, true).await;
            }
        }
    }

    /// The other cells of the same server and kind of client, when `cell` is
    /// the hub's and what it holds is said of the server as it is configured
    /// now.
    fn waiting_for(&self, cell: &Arc<ListCell>) -> Vec<Arc<ListCell>> {
        let offer = offer_of(&cell.key);
        let is_hubs = self.hubs_key(&cell.key.server, &offer).is_some_and(|hubs| hubs == cell.key);
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_hubs || !cells.get(&cell.key).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            return Vec::new();
        }
        let others = cells.values().filter(|other| other.key.server == cell.key.server);
        let others = others.filter(|other| offer_of(&other.key) == offer && other.key != cell.key);
        others.cloned().collect()
    }

    /// The hub's own cell of the server; none when `cell` is that.
    fn hubs_cell(&self, cell: &ListCell) -> Option<Arc<ListCell>> {
        let key = self.hubs_key(&cell.key.server, &offer_of(&cell.key));
        let key = key.filter(|hubs| *hubs != cell.key)?;
        Some(self.cell(&key))
    }

    /// Which instance the hub asks as itself for clients with this offer; none
    /// where what it is told says nothing of what a caller would be.
    fn hubs_key(&self, server: &ServerName, offer: &Offer) -> Option<InstanceKey> {
        let spec = self.upstreams.spec(server)?;
        if is_same_for_all(&spec) { self.upstreams.key(server, Identity::hub(), None, offer) } else { None }
    }

    fn is_child(&self, server: &ServerName) -> bool {
        self.upstreams.spec(server).is_some_and(|spec| matches!(spec.endpoint, Endpoint::Stdio(_)))
    }
}

fn offer_of(key: &InstanceKey) -> Offer {
    Offer::new(key.scope.offer())
}

/// Whether the lists of this instance are nobody's in particular: they are
/// kept however long nobody looks, since there is one for each server. What a
/// client can be asked for is its own to say, so of those there is no end.
pub(super) fn is_nobodys(key: &InstanceKey) -> bool {
    match &key.scope {
        Scope::Everybody => true,
        Scope::Identity(identity, offer) => *identity == Identity::hub() && offer.is_nothing(),
        Scope::Session(..) => false,
    }
}

/// Whether the server sees the same credential whoever calls.
fn is_same_for_all(spec: &ServerSpec) -> bool {
    match &spec.endpoint {
        Endpoint::Stdio(_) => true,
        Endpoint::Http(endpoint) => match &endpoint.auth {
            ServerAuth::None | ServerAuth::Bearer(_) | ServerAuth::Exchange(_) | ServerAuth::IdJag(_) => true,
            // What one consent shows, another may not.
            ServerAuth::OAuth(oauth) => oauth.per != ConsentOf::User,
        },
    }
}
