//! Connections that come and go: what they open is looked at again at once.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use trunkline_model::{ConnectionOwner, Identity, ServerName};

use super::Hub;

/// Hears which connections changed, for ever.
pub(super) async fn follow(hub: Arc<Hub>, mut changes: Receiver<(ServerName, ConnectionOwner)>) {
    loop {
        match changes.recv().await {
            Ok((server, owner)) => hub.connection_changed(&server, &owner),
            // Each call finds out for itself; lists are asked for again in their time.
            Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "changes of connections were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

impl Hub {
    fn connection_changed(&self, server: &ServerName, owner: &ConnectionOwner) {
        let concerned = |identity: Option<&Identity>| {
            owner.is_of_hub() || identity.is_some_and(|identity| ConnectionOwner::of(identity) == *owner)
        };
        self.upstreams.end_instances(server, concerned);
        self.catalog.ask_again(server, concerned);
    }
}
