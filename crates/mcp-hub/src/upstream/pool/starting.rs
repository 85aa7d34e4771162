//! Starting an instance, and stopping it when nobody uses it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use trunkline_model::{Endpoint, EraPin};
use trunkline_oauth::client::Credential;

use super::instance::Instance;
use super::server::{Outcome, Server};
use crate::upstream::{Connection, Era, InstanceKey, Owner, Scope, UpstreamError, http, stdio};

/// How often a busy instance with a very short idle time is looked at, at most.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Starts one instance and tells everybody who waits for it.
pub(super) async fn run(
    server: Arc<Server>,
    scope: Scope,
    failures: u32,
    outcome: watch::Sender<Outcome>,
    starting: watch::Receiver<Outcome>,
) {
    let owner = Owner::new(InstanceKey { server: server.spec().name.clone(), scope: scope.clone() });
    let result = match Box::pin(connect(&server, &owner)).await {
        Ok(connection) => {
            let instance = Arc::new(Instance::new(owner, connection, failures));
            took(&server, instance, &starting)
        }
        Err(error) => {
            tracing::warn!(server = %server.spec().name, %error, failures, "a server could not be started");
            server.not_started(&scope, failures, &error, &starting);
            Err(error)
        }
    };
    outcome.send_replace(Some(result));
}

fn took(
    server: &Arc<Server>,
    instance: Arc<Instance>,
    starting: &watch::Receiver<Outcome>,
) -> Result<(), UpstreamError> {
    let watched = Arc::downgrade(&instance);
    let scope = instance.owner.key().scope.clone();
    match server.started(instance, starting) {
        Ok(()) => {
            if !server.ends_with_session(&scope) {
                server.outfit.tasks.spawn_until_stop(stop_when_idle(Arc::downgrade(server), watched));
            }
            Ok(())
        }
        Err(unwanted) => {
            server
                .outfit
                .tasks
                .spawn(async move { unwanted.connection.close("nobody wants it any more").await });
            let reason = "it was stopped while it started".to_owned();
            Err(UpstreamError::Unreachable { server: server.spec().name.clone(), reason })
        }
    }
}

async fn connect(server: &Server, owner: &Owner) -> Result<Connection, UpstreamError> {
    let patience = server.outfit.parts.limits.start_timeout;
    let started = timeout(patience, async {
        // The semaphore is never closed.
        let _turn = server.starts.acquire().await.ok();
        connect_in_known_era(server, owner).await
    });
    started.await.unwrap_or_else(|_| {
        let reason = format!("it was not ready within {} s", patience.as_secs());
        Err(UpstreamError::Handshake { server: server.spec().name.clone(), reason })
    })
}

/// Later starts of a server do not look for its era again, unless it no
/// longer answers in the one found.
async fn connect_in_known_era(server: &Server, owner: &Owner) -> Result<Connection, UpstreamError> {
    let pinned = server.spec().era;
    let known = if pinned == EraPin::Auto { known_era(server) } else { pinned };
    let mut connected = connect_once(server, owner, known).await;
    if known != pinned && matches!(connected, Err(UpstreamError::Handshake { .. })) {
        connected = connect_once(server, owner, pinned).await;
    }
    let found = match &connected {
        Ok(connection) if connection.greeting().era == Era::Modern => MODERN,
        Ok(_) => LEGACY,
        Err(_) => UNKNOWN,
    };
    server.era.store(found, Ordering::Relaxed);
    if let Ok(connection) = &connected {
        server.learn_from(connection);
    }
    connected
}

const UNKNOWN: u8 = 0;
const MODERN: u8 = 1;
const LEGACY: u8 = 2;

impl Server {
    /// Whether it is known to speak the modern era.
    pub(super) fn is_modern(&self) -> bool {
        let pinned = self.spec().era;
        let era = if pinned == EraPin::Auto { known_era(self) } else { pinned };
        era == EraPin::Modern
    }
}

fn known_era(server: &Server) -> EraPin {
    match server.era.load(Ordering::Relaxed) {
        MODERN => EraPin::Modern,
        LEGACY => EraPin::Legacy,
        _ => EraPin::Auto,
    }
}

async fn connect_once(server: &Server, owner: &Owner, era: EraPin) -> Result<Connection, UpstreamError> {
    let outfit = &server.outfit;
    match &server.spec().endpoint {
        Endpoint::Stdio(command) => {
            let launch = stdio::Launch {
                owner: owner.clone(),
                command: command.clone(),
                base_environment: Arc::clone(&outfit.parts.base_environment),
                era,
                events: outfit.parts.events.clone(),
                log: Arc::clone(server.log()),
                limits: outfit.parts.limits.clone(),
                tasks: outfit.tasks.clone(),
            };
            Ok(Connection::Stdio(Arc::new(stdio::start(&launch).await?)))
        }
        Endpoint::Http(endpoint) => {
            let link = http::Link {
                key: InstanceKey::clone(&owner.key()),
                endpoint: endpoint.clone(),
                era,
                events: outfit.parts.events.clone(),
                egress: outfit.parts.egress.clone(),
                limits: outfit.parts.limits.clone(),
                credential: credential(server, owner),
            };
            Box::pin(http::connect(link)).await
        }
    }
}

/// The credential of whom an instance serves.
fn credential(server: &Server, owner: &Owner) -> Option<Credential> {
    let connections = server.outfit.parts.connections.as_ref()?;
    connections.credential(&server.spec().name, owner.key().scope.identity())
}

/// Stops an instance once nobody has used it for the server's idle time. The
/// references are weak: watching keeps nothing alive.
async fn stop_when_idle(server: Weak<Server>, instance: Weak<Instance>) {
    loop {
        let wait = {
            let (Some(server), Some(instance)) = (server.upgrade(), instance.upgrade()) else { return };
            if server.take_out_idle(&instance) {
                instance.connection.close("nobody has used it for its idle time").await;
                return;
            }
            let idle_timeout = server.spec().idle_timeout;
            match instance.idle_for() {
                Some(idle) => idle_timeout.saturating_sub(idle),
                None => idle_timeout.max(SHORTEST_WATCH),
            }
        };
        // A little more, so that the time has surely passed.
        sleep(wait.saturating_add(Duration::from_millis(1))).await;
    }
}
