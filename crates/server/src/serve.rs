//! The running hub: in which order it starts and stops, and where it answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::{TcpListener, UnixListener};
use trunkline_console::Door;
use trunkline_model::ProfileAuth;
use trunkline_web::gate::GateConfig;
use trunkline_web::{Gate, Limits};

use crate::config::{self, Config};
use crate::core::{Core, Taking};
use crate::signals::Signals;
use crate::{DataDir, router};

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
            let taking = core.taking(Some(Arc::clone(&authorization)));
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
