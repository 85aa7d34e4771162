//! What `doctor` looks at besides the programs of servers.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use trunkline_model::SystemClock;
use trunkline_storage::Store;

use super::Finding;
use crate::DataDir;
use crate::config::{self, Config};
use crate::control::Control;

pub(super) fn data_directory(data: &DataDir) -> Finding {
    let subject = "data directory";
    let path = data.path().display();
    match std::fs::metadata(data.path()) {
        Ok(metadata) if !metadata.is_dir() => {
            Finding::fail(subject, format!("{path} is not a directory"), "name another with --data")
        }
        Ok(_) => {
            let fix = format!("chmod 700 {path}");
            match open_to_others(data.path()) {
                Some(mode) => {
                    Finding::warn(subject, format!("{path} can be read by others (mode {mode:04o})"), fix)
                }
                None => Finding::ok(subject, format!("{path}, for its owner alone")),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok(subject, format!("{path} does not exist yet; the first start makes it"))
        }
        Err(error) => {
            Finding::fail(subject, format!("{path}: {error}"), "let the user who runs the hub read it")
        }
    }
}

pub(super) fn secret_key(data: &DataDir, config: &Config) -> Option<Finding> {
    let subject = "secret key";
    if config.secret_key.is_some() {
        return Some(Finding::ok(subject, "given by the configuration"));
    }
    let path = data.secret_key();
    if !path.exists() {
        // a database without its key is what opening it reports
        return None;
    }
    let shown = path.display();
    Some(match open_to_others(&path) {
        Some(mode) => Finding::fail(
            subject,
            format!("{shown} can be read by others (mode {mode:04o}), and with it every sealed secret"),
            format!("chmod 600 {shown}"),
        ),
        None => Finding::ok(subject, format!("{shown}, for its owner alone")),
    })
}

/// The permissions, when they give others anything.
fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

pub(super) async fn database(data: &DataDir, config: &Config) -> Finding {
    let subject = "database";
    if config.database_url.is_none() && !data.database().exists() {
        // looking must not make one
        return Finding::ok(subject, "there is none yet; the first start makes it");
    }
    let options = data.store_options(config);
    let location = options.location.to_string();
    match Store::open(options, Arc::new(SystemClock)).await {
        Ok(store) => {
            store.close().await;
            Finding::ok(subject, format!("{location} opens, and its key fits"))
        }
        Err(error) => Finding::fail(
            subject,
            error.to_string(),
            "free the disk, correct `database.url`, or restore the database together with its key from a backup",
        ),
    }
}

pub(super) async fn address(data: &DataDir, config: &Config) -> Finding {
    let subject = "address";
    let listen = config.listen;
    match Control::connect(data).await {
        Ok(Some(_)) => return Finding::ok(subject, format!("a hub is running on {}", data.path().display())),
        Ok(None) => {}
        Err(error) => {
            return Finding::warn(subject, format!("{error:#}"), "run doctor as the user who runs the hub");
        }
    }
    match TcpListener::bind(listen).await {
        Ok(_) => Finding::ok(subject, format!("{listen} is free")),
        Err(error) => {
            let fix = "stop what listens there, or change `listen`".to_owned();
            Finding::fail(subject, format!("{listen}: {error}"), fix)
        }
    }
}

pub(super) fn public_url(config: &Config) -> Option<Finding> {
    let subject = "public_url";
    let Some(url) = &config.public_url else {
        return (!config.listen.ip().is_loopback()).then(|| {
            let detail = format!("is not set, and {} is not a loopback address", config.listen);
            Finding::warn(subject, detail, "set it to the URL that clients use, so that sign-in can work")
        });
    };
    Some(if url.scheme() == "http" && !config::is_local(url) {
        let fix = "put a proxy with TLS in front, and write https";
        Finding::warn(
            subject,
            format!("{url} is not encrypted: keys and answers can be read on the way"),
            fix,
        )
    } else {
        Finding::ok(subject, url.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_public_url_without_encryption_is_a_warning() {
        let status = |url: &str| {
            let config = Config { public_url: Some(url.parse().unwrap()), ..Config::default() };
            public_url(&config).unwrap().status
        };
        assert_eq!(status("http://hub.example.org/"), Status::Warn);
        assert_eq!(status("https://hub.example.org/"), Status::Ok);
        assert_eq!(status("http://127.0.0.1:7400/"), Status::Ok);
        assert_eq!(status("http://[::1]:7400/"), Status::Ok);
        assert!(public_url(&Config::default()).is_none());
        let everywhere = Config { listen: "0.0.0.0:7400".parse().unwrap(), ..Config::default() };
        assert_eq!(public_url(&everywhere).unwrap().status, Status::Warn);
    }

    #[test]
    fn a_directory_that_others_can_read_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("data"));
        assert!(data_directory(&data).detail.contains("does not exist yet"));
        data.create().unwrap();
        assert_eq!(data_directory(&data).status, Status::Ok);
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let finding = data_directory(&data);
        assert_eq!((finding.status, finding.fix.unwrap().starts_with("chmod 700 ")), (Status::Warn, true));
    }

    #[test]
    fn a_key_that_others_can_read_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path());
        assert!(secret_key(&data, &Config::default()).is_none());
        std::fs::write(data.secret_key(), "x").unwrap();
        std::fs::set_permissions(data.secret_key(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(secret_key(&data, &Config::default()).unwrap().status, Status::Fail);
        std::fs::set_permissions(data.secret_key(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret_key(&data, &Config::default()).unwrap().status, Status::Ok);
    }

    #[tokio::test]
    async fn a_taken_address_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path());
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config { listen: taken.local_addr().unwrap(), ..Config::default() };
        assert_eq!(address(&data, &config).await.status, Status::Fail);
        drop(taken);
        assert_eq!(address(&data, &config).await.status, Status::Ok);
    }

    #[tokio::test]
    async fn looking_for_a_database_makes_none() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path());
        assert_eq!(database(&data, &Config::default()).await.status, Status::Ok);
        assert!(!data.database().exists());
        std::fs::write(data.database(), "this is not a database").unwrap();
        assert_eq!(database(&data, &Config::default()).await.status, Status::Fail);
    }
}
