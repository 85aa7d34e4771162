//! Every connection, in memory, and how memory keeps up with the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::broadcast;
use trunkline_model::{
    Clock, Connection, ConnectionOwner, ConsentOf, Endpoint, Identity, Secret, ServerAuth, ServerName,
    ServerSpec, UpstreamClient, UserId,
};
use trunkline_storage::{Sealer, Store, StoreError, Topic, VaultError};
use trunkline_web::Tasks;
use url::Url;

use super::held::{Credential, Held, Snapshot};
use super::identity::Identities;
use super::metadata::ResourceMetadata;
use super::presence::Presence;
use super::sealed::{open_tokens, place_of_tokens};
use super::token::Tokens;
use super::transport::Transport;

/// How often connections are looked at whose tokens may be due.
const ROUND: Duration = Duration::from_secs(5);
/// After a failure, how long until the database is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How often what changes meanwhile is read again.
const TRIES: u32 = 5;
/// Changes that wait to be heard; who is slower looks at everything again.
const QUEUED_CHANGES: usize = 256;

/// What the client half works with.
#[derive(Debug)]
pub struct Parts {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub transport: Arc<dyn Transport>,
    pub presence: Presence,
    /// Who callers are, for servers that are shown it.
    pub identities: Arc<dyn Identities>,
    /// Names this process among those that share the database.
    pub holder: String,
    pub random: StdRng,
}

/// A server whose tokens come from an authorization server.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: ServerName,
    pub(super) url: Url,
    pub(super) auth: ServerAuth,
}

impl Upstream {
    fn of(spec: &ServerSpec) -> Option<Self> {
        let Endpoint::Http(endpoint) = &spec.endpoint else { return None };
        if !endpoint.auth.is_from_authorization_server() {
            return None;
        }
        let url = Url::parse(&endpoint.url).ok()?;
        Some(Self { name: spec.name.clone(), url, auth: endpoint.auth.clone() })
    }

    /// Whether a person's consent is what tokens stand on.
    pub(super) fn needs_person(&self) -> bool {
        matches!(&self.auth, ServerAuth::OAuth(oauth) if oauth.per != ConsentOf::Service)
    }

    /// Whose connection serves a caller with this identity.
    pub(super) fn owner(&self, identity: Option<&Identity>) -> ConnectionOwner {
        match (&self.auth, identity) {
            (auth, Some(identity)) if auth.is_per_user() => ConnectionOwner::of(identity),
            // Never one that others use.
            (auth, None) if auth.shows_caller_of().is_some() => ConnectionOwner::of(&Identity::hub()),
            (ServerAuth::OAuth(oauth), _) if oauth.per != ConsentOf::Service => ConnectionOwner::shared(),
            (_, _) => ConnectionOwner::service(),
        }
    }
}

/// The connections to upstream servers.
#[derive(Debug)]
pub struct Connections {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) presence: Presence,
    pub(super) identities: Arc<dyn Identities>,
    pub(super) holder: String,
    pub(super) token_sealer: Sealer,
    pub(super) client_sealer: Sealer,
    pub(super) flow_sealer: Sealer,
    random: Mutex<StdRng>,
    servers: ArcSwap<HashMap<ServerName, Arc<Upstream>>>,
    held: RwLock<HashMap<(ServerName, ConnectionOwner), Arc<Held>>>,
    /// Issuers whose client an operator has paused, by server.
    paused: ArcSwap<Vec<(ServerName, String)>>,
    changed: broadcast::Sender<(ServerName, ConnectionOwner)>,
    /// The identities as they were last looked at: the version of each that can be shown.
    pub(super) identities_seen: Mutex<HashMap<(UserId, String), Option<i64>>>,
    /// Where what nobody waits for runs, once it does.
    pub(super) tasks: OnceLock<Tasks>,
}

impl Connections {
    /// Reads every connection.
    ///
    /// # Errors
    /// [`StoreError`]; a vault that cannot seal is a damaged one.
    pub async fn load(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let sealer = |purpose| parts.store.vault().sealer(purpose).map_err(|error| no_vault(&error));
        let connections = Arc::new(Self {
            token_sealer: sealer("upstream-token")?,
            client_sealer: sealer("upstream-client")?,
            flow_sealer: sealer("upstream-flow")?,
            store: parts.store,
            clock: parts.clock,
            transport: parts.transport,
            presence: parts.presence,
            identities: parts.identities,
            holder: parts.holder,
            random: Mutex::new(parts.random),
            servers: ArcSwap::default(),
            held: RwLock::default(),
            paused: ArcSwap::default(),
            changed: broadcast::channel(QUEUED_CHANGES).0,
            identities_seen: Mutex::default(),
            tasks: OnceLock::new(),
        });
        connections.catch_up().await?;
        Ok(connections)
    }

    /// Takes over the catalogue.
    pub fn configure(&self, specs: &[ServerSpec]) {
        let servers = specs.iter().filter_map(Upstream::of);
        let servers = servers.map(|upstream| (upstream.name.clone(), Arc::new(upstream))).collect();
        self.servers.store(Arc::new(servers));
        self.bar_again();
    }

    /// Keeps memory as new as the database, and tokens as new as they must be.
    pub fn run(self: &Arc<Self>, tasks: &Tasks) {
        // Set once: it runs once.
        let _ = self.tasks.set(tasks.clone());
        let connections = Arc::clone(self);
        tasks.spawn_until_stop(async move { connections.follow_changes().await });
        let connections = Arc::clone(self);
        tasks.spawn_until_stop(async move {
            loop {
                tokio::time::sleep(ROUND).await;
                connections.refresh_due().await;
            }
        });
    }

    async fn follow_changes(&self) {
        let mut known = 0;
        loop {
            let version = self.store.changes().wait_past(known).await;
            let caught_up = async {
                self.catch_up().await?;
                let topics = self.store.changes().since(known).await?;
                if topics.contains(&Topic::People) {
                    self.forget_gone_owners().await?;
                }
                if topics.contains(&Topic::Identities) {
                    self.follow_identities().await?;
                }
                Ok::<_, StoreError>(())
            };
            match caught_up.await {
                Ok(()) => known = version,
                Err(error) => {
                    tracing::debug!(%error, "connections cannot be read; those in memory stay");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Makes memory as new as the database, now.
    ///
    /// # Errors
    /// [`StoreError`]: memory stays as it was.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            if self.take_over_rows().await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether everything that was read is in memory now. What this process
    /// changes while it reads is newer than what it reads, and is left.
    async fn take_over_rows(&self) -> Result<bool, StoreError> {
        let known = self.all().into_iter().map(|held| {
            let key = (held.server.clone(), held.owner.clone());
            (key, (held.now.load_full(), held))
        });
        let mut before: HashMap<_, _> = known.collect();
        let rows = self.store.connections().list().await?;
        let clients = self.store.upstream_clients().list().await?;
        let is_paused = |client: &UpstreamClient| client.detail.paused_at.is_some();
        let paused: Vec<_> =
            clients.into_iter().filter(is_paused).map(|client| (client.server, client.issuer)).collect();
        let is_barred_otherwise = *self.paused.load_full() != paused;
        if is_barred_otherwise {
            self.paused.store(Arc::new(paused));
        }
        let mut is_whole = true;
        for row in rows {
            let Some((known, held)) = before.remove(&(row.server.clone(), row.owner.clone())) else {
                // It is compared with what is there before the next reading.
                is_whole &= self.held(&row.server, &row.owner).now.load().version() == row.version;
                continue;
            };
            if !known.unsaved && known.version() != row.version {
                let next = self.snapshot_of(row);
                is_whole &= self.publish_over(&held, &known, next);
            }
        }
        for (known, held) in before.into_values() {
            if known.connection.is_some() && !known.unsaved {
                is_whole &= self.publish_over(&held, &known, Snapshot::default());
            }
        }
        if is_barred_otherwise {
            self.bar_again();
        }
        Ok(is_whole)
    }

    /// Hears of connections that came, went or changed their state.
    pub fn subscribe(&self) -> broadcast::Receiver<(ServerName, ConnectionOwner)> {
        self.changed.subscribe()
    }

    /// The credential that a caller with this identity has for `server`; for
    /// everybody when there is none. None when the server needs none.
    pub fn credential(
        self: &Arc<Self>,
        server: &ServerName,
        identity: Option<&Identity>,
    ) -> Option<Credential> {
        let upstream = self.upstream(server)?;
        let held = self.held(server, &upstream.owner(identity));
        Some(Credential { connections: Arc::clone(self), upstream, held })
    }

    pub(super) fn upstream(&self, server: &ServerName) -> Option<Arc<Upstream>> {
        self.servers.load().get(server).cloned()
    }

    pub(super) fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let mut all: Vec<_> = self.servers.load().values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    pub(super) fn held(&self, server: &ServerName, owner: &ConnectionOwner) -> Arc<Held> {
        let key = (server.clone(), owner.clone());
        if let Some(held) = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(held);
        }
        let mut all = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Held::new(server.clone(), owner.clone()));
        Arc::clone(all.entry(key).or_insert_with(new))
    }

    pub(super) fn all(&self) -> Vec<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Takes over what the database says.
    pub(super) fn adopt(&self, held: &Held, connection: Connection) {
        let next = self.snapshot_of(connection);
        self.publish(held, next);
    }

    /// A row of the database as it is kept in memory.
    fn snapshot_of(&self, connection: Connection) -> Snapshot {
        let place = place_of_tokens(&connection.server, &connection.owner);
        let opened =
            connection.sealed.as_deref().map(|sealed| open_tokens(&self.token_sealer, &place, sealed));
        let tokens = match opened {
            Some(Ok(tokens)) => Some(tokens),
            Some(Err(error)) => {
                tracing::error!(server = %connection.server, %error, "the tokens of a connection cannot be opened");
                None
            }
            None => None,
        };
        self.snapshot(connection, tokens, false)
    }

    fn snapshot(&self, connection: Connection, tokens: Option<Tokens>, unsaved: bool) -> Snapshot {
        let header = tokens.as_ref().and_then(|tokens| bearer(&tokens.access_token));
        let barred = self.barred(&connection);
        Snapshot { connection: Some(connection), tokens, header, barred, unsaved }
    }

    /// Makes a connection with its tokens what requests use.
    pub(super) fn show(&self, held: &Held, connection: Connection, tokens: Option<Tokens>, unsaved: bool) {
        let next = self.snapshot(connection, tokens, unsaved);
        self.publish(held, next);
    }

    pub(super) fn publish(&self, held: &Held, snapshot: Snapshot) {
        let before = held.now.swap(Arc::new(snapshot));
        self.tell_of_change(held, &before);
    }

    /// As [`publish`](Self::publish), unless something else than `known` is
    /// there by now: then false.
    fn publish_over(&self, held: &Held, known: &Arc<Snapshot>, snapshot: Snapshot) -> bool {
        let before = held.now.compare_and_swap(known, Arc::new(snapshot));
        let is_done = Arc::ptr_eq(&before, known);
        if is_done {
            self.tell_of_change(held, &before);
        }
        is_done
    }

    fn tell_of_change(&self, held: &Held, before: &Snapshot) {
        let state = |snapshot: &Snapshot| snapshot.connection.as_ref().map(|connection| connection.state);
        let now = held.now.load();
        if before.sendable().is_some() != now.sendable().is_some() || state(before) != state(&now) {
            // Nobody may be listening.
            let _ = self.changed.send((held.server.clone(), held.owner.clone()));
        }
    }

    /// Why a connection's tokens are not sent, although they are there.
    fn barred(&self, connection: &Connection) -> Option<String> {
        let is_paused = |(server, issuer): &(ServerName, String)| {
            *server == connection.server && *issuer == connection.detail.issuer
        };
        if self.paused.load().iter().any(is_paused) {
            return Some("an operator has paused the hub's client there".to_owned());
        }
        let upstream = self.upstream(&connection.server)?;
        // There has been no token yet.
        if connection.detail.resource.is_empty() {
            return None;
        }
        let covers = ResourceMetadata {
            resource: connection.detail.resource.clone(),
            authorization_servers: vec![connection.detail.issuer.clone()],
            scopes_supported: None,
        };
        // A token is for one server: it does not follow a name to another address.
        covers
            .check(&upstream.url)
            .err()
            .map(|_| "the server's address has changed since it was connected".to_owned())
    }

    /// Judges every connection again, after what it is judged by has changed.
    fn bar_again(&self) {
        for held in self.all() {
            let now = held.now.load_full();
            let Some(connection) = &now.connection else { continue };
            let barred = self.barred(connection);
            if barred != now.barred {
                self.publish(&held, Snapshot { barred, ..Snapshot::clone(&now) });
            }
        }
    }

    /// 256 random bits as text.
    pub(super) fn random_text(&self) -> String {
        let mut bytes = [0; 32];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A part of `whole`, by chance.
    pub(super) fn random_part(&self, whole: Duration) -> Duration {
        let number = self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u32();
        whole.mul_f64(f64::from(number) / f64::from(u32::MAX))
    }
}

pub(super) fn no_vault(error: &VaultError) -> StoreError {
    StoreError::Damaged { what: "a sealed secret", detail: error.to_string() }
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
