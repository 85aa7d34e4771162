//! The catalogue before anybody asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::Hub;

/// Servers that are asked at the same time: a hundred children at once would
/// take the machine from whoever calls meanwhile.
const AT_ONCE: usize = 8;
/// A server that takes longer goes on by itself, and the next one has its turn.
const TURN: Duration = Duration::from_secs(5);

impl Hub {
    /// Asks each server that a profile selects what it lists, as the hub
    /// itself and behind everything else, so that the first list of a caller
    /// need not wait for it. For after the start and after each
    /// [`apply`](Self::apply); servers whose lists are known are not asked.
    pub fn warm(self: &Arc<Self>) {
        let hub = Arc::clone(self);
        self.tasks.spawn_until_stop(async move {
            let profiles = hub.profiles();
            let servers: BTreeSet<_> = profiles
                .iter()
                .flat_map(|profile| profile.servers())
                .map(|(server, _)| server.clone())
                // Shown nobody's credential they list nothing.
                .filter(|server| hub.upstreams.spec(server).is_some_and(|spec| !spec.has_own_credentials()))
                .collect();
            let asking = |server| {
                let catalog = Arc::clone(&hub.catalog);
                async move { catalog.warm(&server, TURN).await }
            };
            stream::iter(servers).for_each_concurrent(AT_ONCE, asking).await;
        });
    }
}
