//! The data directory: database, secret key, audit journal, control socket.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use trunkline_storage::{Location, StoreOptions, VaultKey};

use crate::config::Config;

/// A data directory, which may not exist yet.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The SQLite database, where the configuration names no other.
    pub fn database(&self) -> PathBuf {
        self.0.join("trunkline.db")
    }

    /// The key that seals secrets, where the configuration gives none.
    pub fn secret_key(&self) -> PathBuf {
        self.0.join("secret.key")
    }

    /// Where events of the audit trail stand until they are in the database.
    pub fn audit_journal(&self) -> PathBuf {
        self.0.join("audit-journal")
    }

    /// Where a running hub answers commands of its owner.
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Makes the directory for its owner alone, unless it is there.
    ///
    /// # Errors
    /// The system's, such as a missing permission.
    pub fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// Which database and which key belong to `config` and this directory.
    pub fn store_options(&self, config: &Config) -> StoreOptions {
        StoreOptions {
            location: match &config.database_url {
                Some(url) => Location::Postgres(url.clone()),
                None => Location::Sqlite(self.database()),
            },
            key: match &config.secret_key {
                Some(key) => VaultKey::Given(key.clone()),
                None => VaultKey::File(self.secret_key()),
            },
        }
    }
}
