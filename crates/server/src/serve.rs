//! The running hub: what it is made of, in which order it starts and stops.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use trunkline_console::{Admin, Door};
use trunkline_mcp_hub::{Hub, HubConfig, Parts};
use trunkline_model::{Clock, Endpoint, ExchangeAt, ProfileAuth, SystemClock};
use trunkline_oauth::absent::{Absent, Configured};
use trunkline_oauth::client::{self, Connections, Presence};
use trunkline_oauth::login::{Login, Sessions};
use trunkline_oauth::scim::Scim;
use trunkline_oauth::server::AuthorizationServer;
use trunkline_oauth::{Base, People, Resource, Tokens};
use trunkline_profiles::{AuditLog, Guard};
use trunkline_storage::Store;
use trunkline_web::gate::GateConfig;
use trunkline_web::{Egress, Gate, Limits, Outbound, OutboundPolicy, Tasks};
use url::Url;

use crate::asking::{Asking, HubProfiles};
use crate::config::{self, Config};
use crate::signals::Signals;
use crate::{DataDir, absent, env, router};

/// How long a stopping hub waits for its own tasks.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What `serve` and `demo` start.
pub struct ServeOptions {
    pub config: Config,
    /// The file that `config` came from; it is watched.
    pub config_path: Option<PathBuf>,
    /// Where the database, the secret key and the control socket are.
    pub data_dir: PathBuf,
    /// In place of the configuration's `listen`.
    pub listen: Option<SocketAddr>,
    /// Nothing is printed at the start.
    pub quiet: bool,
    /// Called once, when requests are answered.
    pub on_ready: Option<Box<dyn FnOnce(Ready) + Send>>,
}

/// What is known once the hub answers.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address in use; its port is a real one even when `:0` was asked for.
    pub address: SocketAddr,
    /// Where clients reach the hub, without a slash at the end.
    pub public_url: String,
}

impl std::fmt::Debug for ServeOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServeOptions")
            .field("config_path", &self.config_path)
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Serves until the process is told to stop by SIGINT or SIGTERM.
///
/// # Errors
/// Whatever keeps the hub from starting, with what to do about it.
pub async fn run(options: ServeOptions) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let running = Running::start(&options).await?;
    let ready = Ready { address: running.address, public_url: running.public_url.clone() };
    if !options.quiet {
        running.announce().await;
    }
    if let Some(on_ready) = options.on_ready {
        on_ready(ready);
    }
    // Not before the hub has said where it is: what servers do wrong comes behind that.
    running.core.hub.warm();
    signals.wait().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// A hub that answers.
struct Running {
    address: SocketAddr,
    public_url: String,
    core: Core,
    listeners: Vec<tokio::task::JoinHandle<()>>,
    control_socket: PathBuf,
}

impl Running {
    async fn start(options: &ServeOptions) -> anyhow::Result<Self> {
        let config = &options.config;
        let data = DataDir::new(&options.data_dir);
        let wanted = options.listen.unwrap_or(config.listen);
        let listener = TcpListener::bind(wanted)
            .await
            .with_context(|| format!("cannot listen on {wanted}; another program may (try --listen)"))?;
        let address = listener.local_addr()?;
        let public_url = config.base_url(address);
        let core = Core::start(config, &data, public_url.parse()?).await?;
        core.connections.run(&core.tasks);
        core.end_what_is_absent();
        let control_socket = data.control_socket();
        let control = control_listener(&control_socket)?;
        let gate = gate(config, address).context("the allowed hosts or origins")?;
        let gate = gate.witnessed(router::record_refusal(Arc::clone(&core.guard)));
        let admin = core.admin(public_url.clone());
        let authorization = core.authorization_server(config, public_url.parse()?)?;
        let proxies = &config.trusted_proxies;
        let app = router::router(&core, &public_url.parse()?, admin.clone(), &authorization, gate, proxies);
        let (limits, stop) = (Limits::default(), core.tasks.stop_token());
        let listeners = vec![
            tokio::spawn(trunkline_web::serve(listener, app, limits.clone(), stop.clone())),
            tokio::spawn(trunkline_web::serve_unix(
                control,
                trunkline_console::router(admin, Door::ControlSocket),
                limits,
                stop,
            )),
        ];
        if let Some(path) = &options.config_path {
            let taking = Taking { authorization: Some(Arc::clone(&authorization)), ..core.taking() };
            core.tasks.spawn_until_stop(follow_file(path.clone(), config.clone(), address, taking));
        }
        Ok(Self { address, public_url, core, listeners, control_socket })
    }

    /// Says where the profiles are, and what is still missing to use them.
    async fn announce(&self) {
        tracing::info!(address = %self.address, url = %self.public_url, "serving");
        let profiles = self.core.hub.profiles();
        for profile in &profiles {
            let (name, auth) = (profile.name(), profile.auth().as_str());
            tracing::info!(endpoint = format!("{}/mcp/{name}", self.public_url), auth, "profile {name}");
        }
        match self.core.login.setup_link().await {
            Ok(Some(link)) => tracing::info!(
                "there is no user yet; within an hour, make the first owner's account at {}",
                link.expose()
            ),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "whether there is a user cannot be told"),
        }
        let wants_key = profiles.iter().find(|profile| profile.auth() != ProfileAuth::None);
        if let Some(profile) = wants_key
            && self.core.store.keys().list().await.is_ok_and(|keys| keys.is_empty())
        {
            tracing::info!("there is no key yet: trunkline key create --profile {}", profile.name());
        }
    }

    /// Takes no more requests, lets those under way end, then ends what they
    /// stood on.
    async fn stop(self) {
        self.core.tasks.stop_token().cancel();
        for listener in self.listeners {
            // A listener ends by itself; one that panicked has said so.
            let _ = listener.await;
        }
        self.core.stop().await;
        // It may be gone already.
        let _ = std::fs::remove_file(self.control_socket);
    }
}

/// A hub without listeners, and what it stands on.
pub(crate) struct Core {
    pub(crate) hub: Arc<Hub>,
    /// What clients call the hub.
    pub(crate) base: Base,
    guard: Arc<Guard>,
    resource: Arc<Resource>,
    people: Arc<People>,
    sessions: Arc<Sessions>,
    pub(crate) login: Arc<Login>,
    tokens: Arc<Tokens>,
    connections: Arc<Connections>,
    outbound: Outbound,
    tasks: Tasks,
    audit: AuditLog,
    store: Arc<Store>,
    configured: watch::Sender<Configured>,
}

impl Core {
    /// Opens the database and starts the hub of `config`.
    ///
    /// # Errors
    /// What cannot be opened or read, with what to do about it.
    pub(crate) async fn start(config: &Config, data: &DataDir, public_url: Url) -> anyhow::Result<Self> {
        data.create().with_context(|| format!("cannot make the data directory {}", data.path().display()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(data.store_options(config), Arc::clone(&clock)).await?;
        let tasks = Tasks::new();
        let journal = data.audit_journal();
        let audit =
            AuditLog::start(Arc::clone(&store), &journal, clock.as_ref()).await.context("the audit trail")?;
        let outbound = Outbound::new(outbound_policy(config))?;
        let Asking { people, tokens, resource, sessions, login } =
            Asking::load(&store, &clock, &tasks, &outbound, config, &public_url).await?;
        let base = match &config.public_url {
            Some(url) => Base::fixed(url),
            None => Base::of_listener(&public_url),
        };
        let guard = Arc::new(Guard::new(audit.clone(), Arc::clone(&clock)));
        let connections = connections(config, &store, &clock, &outbound, &public_url, &login).await?;
        let hub = Hub::start(Parts {
            connections: Some(Arc::clone(&connections)),
            guard: Arc::clone(&guard),
            resource: Arc::clone(&resource),
            session_sealer: store.vault().sealer("mcp-session")?,
            state_sealer: store.vault().sealer("mcp-request-state")?,
            clock,
            egress: Egress::upstream()?,
            limits: trunkline_mcp_hub::Limits {
                request_bytes: usize::try_from(config.limits.request_bytes)?,
                ..Default::default()
            },
            upstream_limits: trunkline_mcp_hub::upstream::Limits {
                message_bytes: usize::try_from(config.limits.response_bytes)?,
                ..Default::default()
            },
            base_environment: base_environment(),
            base: base.clone(),
            tasks: tasks.clone(),
        });
        let core = Self {
            hub,
            base,
            guard,
            resource,
            people,
            sessions,
            login,
            tokens,
            connections,
            outbound,
            tasks,
            audit,
            store,
            configured: watch::Sender::default(),
        };
        core.taking().take(config)?;
        Ok(core)
    }

    /// What the admin API of the hub at `public_url` shows.
    pub(crate) fn admin(&self, public_url: String) -> Admin {
        Admin {
            base: self.base.clone(),
            hub: Arc::clone(&self.hub),
            resource: Arc::clone(&self.resource),
            people: Arc::clone(&self.people),
            sessions: Arc::clone(&self.sessions),
            connections: Arc::clone(&self.connections),
            guard: Arc::clone(&self.guard),
            audit: self.audit.clone(),
            store: Arc::clone(&self.store),
            clock: Arc::new(SystemClock),
            public_url,
        }
    }

    /// What a directory provisions through.
    pub(crate) fn scim(&self, public_url: &Url) -> Arc<Scim> {
        Arc::new(Scim {
            store: Arc::clone(&self.store),
            people: Arc::clone(&self.people),
            clock: Arc::new(SystemClock),
            public_url: public_url.clone(),
        })
    }

    /// From here on what the configuration no longer names ends after a day.
    fn end_what_is_absent(&self) {
        let absent = Absent {
            store: Arc::clone(&self.store),
            connections: Arc::clone(&self.connections),
            clock: Arc::new(SystemClock),
        };
        let following = absent::follow(absent, self.configured.subscribe(), Arc::clone(&self.guard));
        self.tasks.spawn_until_stop(following);
    }

    /// What takes over a configuration.
    fn taking(&self) -> Taking {
        Taking {
            hub: Arc::clone(&self.hub),
            connections: Arc::clone(&self.connections),
            login: Arc::clone(&self.login),
            outbound: self.outbound.clone(),
            configured: self.configured.clone(),
            authorization: None,
        }
    }

    /// Starts the authorization server of the hub at `public_url`.
    fn authorization_server(
        &self,
        config: &Config,
        public_url: Url,
    ) -> anyhow::Result<Arc<AuthorizationServer>> {
        Ok(AuthorizationServer::start(trunkline_oauth::server::Parts {
            store: Arc::clone(&self.store),
            people: Arc::clone(&self.people),
            sessions: Arc::clone(&self.sessions),
            tokens: Arc::clone(&self.tokens),
            profiles: Arc::new(HubProfiles(Arc::clone(&self.hub))),
            outbound: self.outbound.clone(),
            clock: Arc::new(SystemClock),
            tasks: self.tasks.clone(),
            public_url,
            base: self.base.clone(),
            settings: config.authorization.clone(),
        })?)
    }

    /// Ends children, then the hub's own work, then the trail, then the database.
    pub(crate) async fn stop(self) {
        self.hub.stop().await;
        if !self.tasks.stop(LAST_WORDS).await {
            tracing::warn!("some work did not end in time");
        }
        self.audit.close().await;
        self.store.close().await;
    }
}

/// Whatever a configuration changes, at the start and on reload.
struct Taking {
    hub: Arc<Hub>,
    connections: Arc<Connections>,
    login: Arc<Login>,
    outbound: Outbound,
    /// What the configuration names, for those who end what it no longer does.
    configured: watch::Sender<Configured>,
    /// None at the start, when it is made of the same configuration.
    authorization: Option<Arc<AuthorizationServer>>,
}

impl Taking {
    fn take(&self, config: &Config) -> anyhow::Result<()> {
        self.outbound.set_policy(outbound_policy(config))?;
        let hub_config = hub_config(config);
        if let Some(authorization) = &self.authorization {
            authorization.apply(config.authorization.clone());
        }
        self.login.apply(config.sign_in.clone());
        let with_keys = config.profiles.values().filter(|profile| profile.auth != ProfileAuth::None);
        self.login.apply_profiles(
            with_keys.map(|profile| (profile.name.clone(), profile.members.clone())).collect(),
        );
        self.connections.configure(&hub_config.servers);
        self.hub.apply(hub_config)?;
        self.configured.send_replace(absent::configured(config));
        Ok(())
    }
}

/// What the operator has opened, besides the hosts of what is configured.
fn outbound_policy(config: &Config) -> OutboundPolicy {
    let mut policy = config.outbound.clone();
    for spec in config.servers.values() {
        let Endpoint::Http(endpoint) = &spec.endpoint else { continue };
        if !endpoint.auth.is_from_authorization_server() {
            continue;
        }
        let named = match endpoint.auth.exchange().map(|exchange| &exchange.at) {
            Some(ExchangeAt::Endpoint { token_endpoint, .. }) => Some(token_endpoint),
            // The host of a provider is open already.
            Some(ExchangeAt::Provider(_)) | None => None,
        };
        for url in std::iter::once(&endpoint.url).chain(named).filter_map(|url| Url::parse(url).ok()) {
            policy.open_host_of(&url);
        }
    }
    policy
}

/// The hub as an OAuth client of upstream servers.
async fn connections(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    outbound: &Outbound,
    public_url: &Url,
    login: &Arc<Login>,
) -> anyhow::Result<Arc<Connections>> {
    let ours = &config.oauth_client;
    let parts = client::Parts {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        transport: Arc::new(outbound.clone()),
        presence: Presence::new(public_url, ours.metadata_url.as_ref(), ours.redirect_url.as_ref()),
        identities: Arc::clone(login) as Arc<dyn client::Identities>,
        holder: uuid::Uuid::now_v7().to_string(),
        random: rand::make_rng(),
    };
    Connections::load(parts).await.context("reading the connections")
}

/// What the hub takes over from a configuration, at the start and on reload.
fn hub_config(config: &Config) -> HubConfig {
    HubConfig {
        servers: config.servers.values().cloned().collect(),
        profiles: config.profiles.values().cloned().collect(),
    }
}

/// What every child gets besides its declared environment: enough to find its
/// interpreter and its home, nothing else of ours.
fn base_environment() -> Arc<[(OsString, OsString)]> {
    env::FOR_CHILDREN
        .iter()
        .filter_map(|variable| Some((OsString::from(variable.name), variable.get_os()?)))
        .collect()
}

fn gate(config: &Config, address: SocketAddr) -> anyhow::Result<Gate> {
    Ok(Gate::new(&GateConfig {
        loopback: address.ip().is_loopback(),
        public_url: config.public_url.clone(),
        hosts: config.allowed_hosts.clone(),
        origins: config.allowed_origins.clone(),
    })?)
}

/// The control socket: whoever may open it owns the data directory.
fn control_listener(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;

    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("another hub runs on this data directory: {} answers", path.display());
    }
    // What a killed hub left behind; the bind says so if it cannot go.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot make the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes over each new state of the configuration file; a broken one has been
/// reported, and what runs goes on.
async fn follow_file(path: PathBuf, started: Config, address: SocketAddr, taking: Taking) {
    let take_over = move |loaded: Result<Config, config::ConfigErrors>| {
        if let Ok(config) = loaded {
            match taking.take(&config) {
                Ok(()) => taking.hub.warm(),
                Err(error) => tracing::error!(%error, "the configuration is not taken over"),
            }
        }
    };
    if let Err(error) = config::watch(path, started, address, take_over).await {
        tracing::error!(%error, "the configuration file is not watched; changes need a restart");
    }
}

#[cfg(test)]
mod doors;
