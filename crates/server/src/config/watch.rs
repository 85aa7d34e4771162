//! Reading the file again when it changes, and on SIGHUP.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::{Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use trunkline_model::Secret;

use super::{Config, ConfigErrors, load_for};

/// Editors write a file in several steps; this long after the first of them it is read.
const QUIET: Duration = Duration::from_millis(200);

/// Gives `on_change` each new state of the file at `path`, or what is wrong
/// with it; the caller keeps what it has in the second case. Runs until it is
/// dropped. `started` is the configuration that the hub started with and
/// `address` the one it listens on: neither changes before the next start.
///
/// SIGHUP reads the file even when it has not changed, because a file that a
/// `file:` value names may have.
///
/// # Errors
/// When the directory of the file cannot be watched.
pub async fn watch(
    path: PathBuf,
    started: Config,
    address: SocketAddr,
    mut on_change: impl FnMut(Result<Config, ConfigErrors>),
) -> anyhow::Result<()> {
    let (sender, mut events) = mpsc::channel(1);
    let _watcher = watch_directories(&path, sender)?;
    let mut hangups = Hangups::new()?;
    // not what the file holds now: it may have changed since the hub read it
    let mut last = started.fingerprint;
    let mut forced = false;
    loop {
        let now = std::fs::read(&path).ok().map(|content| fingerprint(&content));
        if now != last || forced {
            last = now;
            let loaded = load_for(&path, address);
            report(&path, &started, &loaded);
            on_change(loaded);
        }
        forced = tokio::select! {
            Some(()) = events.recv() => {
                tokio::time::sleep(QUIET).await;
                false
            }
            () = hangups.next() => true,
        };
        // whatever has come in meanwhile is in the file by now
        while events.try_recv().is_ok() {}
    }
}

/// Watches directories, not the file: editors and orchestrators put a new file in its place.
fn watch_directories(path: &FilePath, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let names = [path.file_name(), target.file_name()].map(|name| name.map(OsStr::to_owned));
    let is_ours = move |changed: &PathBuf| {
        let name = changed.file_name();
        // Kubernetes swaps a mounted configuration by renaming the link `..data`
        name == Some(OsStr::new("..data")) || names.iter().any(|ours| ours.as_deref() == name)
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = event.is_ok_and(|event| {
            // reading the file is an event too
            !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(&is_ours)
        });
        if matters {
            // a full channel says already that something has changed
            let _full = sender.try_send(());
        }
    })?;
    let directory = |path: &FilePath| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    watcher.watch(&directory(path), RecursiveMode::NonRecursive)?;
    if directory(&target) != directory(path) {
        watcher.watch(&directory(&target), RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Tells one content of the file from another, within this process.
pub(super) fn fingerprint(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn report(path: &FilePath, started: &Config, loaded: &Result<Config, ConfigErrors>) {
    let file = path.display();
    match loaded {
        Err(errors) => {
            for problem in errors.lines() {
                tracing::error!(%file, "the configuration is not reloaded: {problem}");
            }
        }
        Ok(config) => {
            tracing::info!(%file, servers = config.servers.len(), profiles = config.profiles.len(), "configuration reloaded");
            for note in &config.notes {
                tracing::warn!(%file, "{note}");
            }
            for key in needs_restart(started, config) {
                tracing::warn!(%file, key, "a change of this key takes effect at the next start");
            }
        }
    }
}

/// The keys that differ and that a running hub cannot take over.
fn needs_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let same = |one: &Option<Secret>, other: &Option<Secret>| match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.same_as(other),
        _ => false,
    };
    let mut keys = Vec::new();
    if started.listen != now.listen {
        keys.push("listen");
    }
    if !same(&started.database_url, &now.database_url) {
        keys.push("database");
    }
    if !same(&started.secret_key, &now.secret_key) {
        keys.push("secret_key");
    }
    let unlike = [
        ("public_url", started.public_url != now.public_url),
        ("allowed_hosts", started.allowed_hosts != now.allowed_hosts),
        ("allowed_origins", started.allowed_origins != now.allowed_origins),
        ("trusted_proxies", started.trusted_proxies != now.trusted_proxies),
        ("limits", started.limits != now.limits),
        ("oauth_client", started.oauth_client != now.oauth_client),
    ];
    keys.extend(unlike.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
    keys
}

/// SIGHUP, where there is such a thing.
struct Hangups {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangups {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { signal: signal(SignalKind::hangup())? })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        self.signal.recv().await;
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT_LISTEN, load};

    /// A file under watch; `changes` gives what the watcher says of it.
    struct Watched {
        directory: tempfile::TempDir,
        changes: mpsc::UnboundedReceiver<Result<Config, ConfigErrors>>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Watched {
        fn start(text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("trunkline.yaml");
            std::fs::write(&path, text).unwrap();
            let started = load(&path).unwrap();
            let (sender, changes) = mpsc::unbounded_channel();
            let task = tokio::spawn(async move {
                let on_change = move |change| sender.send(change).unwrap();
                watch(path, started, DEFAULT_LISTEN, on_change).await.unwrap();
            });
            Self { directory, changes, task }
        }

        /// Puts a new file in the place of the old one, as editors do.
        fn replace(&self, text: &str) {
            let draft = self.directory.path().join("draft");
            std::fs::write(&draft, text).unwrap();
            std::fs::rename(&draft, self.directory.path().join("trunkline.yaml")).unwrap();
        }

        async fn change(&mut self) -> Result<Config, ConfigErrors> {
            let deadline = Duration::from_secs(20);
            tokio::time::timeout(deadline, self.changes.recv()).await.expect("no change was noticed").unwrap()
        }
    }

    #[tokio::test]
    async fn a_replaced_file_is_read_and_a_broken_one_is_reported() {
        let mut watched = Watched::start("servers: {}\n");
        watched.replace("servers: { a: { command: x } }\n");
        assert_eq!(watched.change().await.unwrap().servers.len(), 1);
        watched.replace("servers: { a: { comand: x } }\n");
        assert!(watched.change().await.unwrap_err().to_string().contains("did you mean `command`?"));
        watched.replace("profiles: { open: { auth: none } }\nlisten: 127.0.0.1:1\n");
        assert_eq!(watched.change().await.unwrap().profiles.len(), 1);
        watched.task.abort();
    }

    #[tokio::test]
    async fn another_file_in_the_directory_changes_nothing() {
        let mut watched = Watched::start("servers: {}\n");
        std::fs::write(watched.directory.path().join("other.yaml"), "x").unwrap();
        watched.replace("servers: {}\n");
        watched.replace("servers: { a: { command: x }, b: { command: y } }\n");
        assert_eq!(watched.change().await.unwrap().servers.len(), 2);
        assert!(watched.changes.try_recv().is_err());
        watched.task.abort();
    }

    #[tokio::test]
    async fn a_change_before_the_watch_began_is_not_missed() {
        let mut watched = Watched::start("servers: {}\n");
        // the task of the watch has not run yet: the test has one thread
        watched.replace("servers: { a: { command: x } }\n");
        assert_eq!(watched.change().await.unwrap().servers.len(), 1);
        watched.task.abort();
    }

    #[test]
    fn what_a_running_hub_cannot_take_over_is_named() {
        let started = Config::default();
        let mut now = Config::default();
        assert!(needs_restart(&started, &now).is_empty());
        now.listen.set_port(1);
        now.database_url = Some(Secret::new("postgres://host/name"));
        now.allowed_hosts.push("hub.example".to_owned());
        now.oauth_client.redirect_url = "https://hub.example/".parse().ok();
        now.authorization.registration = false;
        assert_eq!(needs_restart(&started, &now), ["listen", "database", "allowed_hosts", "oauth_client"]);
    }
}
