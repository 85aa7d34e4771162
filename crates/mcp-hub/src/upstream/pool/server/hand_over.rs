//! The hub's own child, for the first caller who needs one.

use std::sync::Arc;

use bytes::Bytes;
use trunkline_model::{Endpoint, Identity};

use super::{Instance, Server, Slot, Slots};
use crate::jsonrpc::Fields;
use crate::upstream::{Connection, Offer, Scope};

/// The hub has no roots, and the caller has.
const ROOTS_CHANGED: Bytes =
    Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);

fn declares_roots(offer: &str) -> bool {
    Fields::find(offer, ["roots"]).is_ok_and(|fields| fields.raw(0).is_some())
}

impl Server {
    /// The child that the hub started to see what the server lists, as the
    /// instance of `scope`: otherwise that child would idle beside a second
    /// one for the caller. It has seen the handshake and lists, nothing of any
    /// caller, because no caller has the hub's identity; and while a list is
    /// still asked for it stays the hub's, so that nothing of a caller is in
    /// what the hub lists. A session over HTTP costs little and is not handed
    /// over.
    pub(super) fn hand_over(&self, slots: &mut Slots, scope: &Scope) -> Option<Arc<Instance>> {
        // A child that was told of other capabilities is another child.
        let hubs = Scope::Identity(Identity::hub(), Offer::new(scope.offer()));
        if *scope == hubs || !matches!(self.spec.endpoint, Endpoint::Stdio(_)) {
            return None;
        }
        match slots.by_scope.get(&hubs) {
            Some(Slot::Ready(instance)) if instance.is_free() => {}
            _ => return None,
        }
        let instance = slots.by_scope.remove(&hubs)?.ready()?;
        instance.owner.pass_to(scope.clone());
        if let Connection::Stdio(child) = &instance.connection
            && declares_roots(scope.offer())
        {
            child.tell(ROOTS_CHANGED);
        }
        slots.by_scope.insert(scope.clone(), Slot::Ready(Arc::clone(&instance)));
        tracing::debug!(server = %self.spec.name, "the hub's own instance goes to a caller");
        Some(instance)
    }
}
