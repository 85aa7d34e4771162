//! Whom a connection serves.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{InstanceKey, Scope};

/// Which instance a connection is, for itself and for whoever keeps it: what
/// a server says without being asked is told under this key. It changes when
/// the hub gives away what it started for itself.
#[derive(Debug, Clone)]
pub struct Owner(Arc<ArcSwap<InstanceKey>>);

impl Owner {
    pub fn new(key: InstanceKey) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(key)))
    }

    pub fn key(&self) -> Arc<InstanceKey> {
        self.0.load_full()
    }

    pub(super) fn pass_to(&self, scope: Scope) {
        let server = self.0.load().server.clone();
        self.0.store(Arc::new(InstanceKey { server, scope }));
    }
}
