//! What can go wrong, in words that say what to do.

use std::path::PathBuf;

use thiserror::Error;

use crate::vault::KeyFault;

/// Why a database could not be opened. Nothing was changed in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("cannot create the data directory {}: {source}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open the database {location}: {source}")]
    Connect {
        /// Without user name or password.
        location: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("cannot bring the database {location} up to date: {source}")]
    Migrate {
        location: String,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error(
        "the database {location} was made by a newer version of trunkline (its schema has step {step}); \
         start that version, or restore a backup from before the upgrade"
    )]
    Newer { location: String, step: i64 },
    #[error("cannot read what the database {location} says of itself: {source}")]
    Meta {
        location: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("cannot {action} the key file {}: {source}", path.display())]
    KeyFile {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{origin} is not a key: {fault}")]
    KeyMalformed { origin: String, fault: KeyFault },
    #[error(
        "the database {location} is sealed with key {expected}, but the key file {} does not exist; \
         restore that file from a backup, because what the database has sealed cannot be read without it",
        path.display()
    )]
    KeyMissing { location: String, expected: String, path: PathBuf },
    #[error(
        "the database {location} is sealed with key {expected}, but {origin} holds key {found}; \
         restore the key that belongs to this database, because what it has sealed cannot be read with another"
    )]
    KeyDiffers { location: String, expected: String, found: String, origin: String },
    #[error("the machine gave no random bytes for a new key")]
    NoRandomness,
}

/// Why a unit of work failed; none of it took effect.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database did not do it. Trying again later is safe.
    #[error("the database could not {operation}: {source}")]
    Database {
        /// What was wanted, as the end of "could not …".
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A file of the audit journal could not be made, read or removed. Trying again later is safe.
    #[error("the audit journal {} cannot be used: {source}", path.display())]
    Journal {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A stored row is not what this program writes. Trying again does not help.
    #[error("the database holds {what} that cannot be read: {detail}")]
    Damaged { what: &'static str, detail: String },
}

impl StoreError {
    /// For `map_err`: names the operation that failed.
    pub(crate) fn on(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { operation, source }
    }
}
