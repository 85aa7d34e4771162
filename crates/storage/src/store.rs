//! Opening a database: connect, migrate, and match it with its key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnectOptions;
use trunkline_model::{Clock, Secret, Timestamp};

use crate::absences::Absences;
use crate::audit::Audit;
use crate::authorization::{
    Clients, Codes, Consents, Devices, Grants, RefreshTokens, SigningKeys, Swept, UsedAssertions, sweep,
};
use crate::browser_sessions::BrowserSessions;
use crate::changes::{Changes, Watcher};
use crate::connections::Connections;
use crate::database::{Database, Work, within};
use crate::error::{OpenError, StoreError};
use crate::kept_identities::KeptIdentities;
use crate::keys::Keys;
use crate::sign_in_links::SignInLinks;
use crate::teams::Teams;
use crate::upstream_clients::UpstreamClients;
use crate::upstream_flows::UpstreamFlows;
use crate::users::Users;
use crate::vault::{Vault, VaultError};
use crate::{key_file, migration};

/// The database's file in a data directory.
const DATABASE_FILE: &str = "trunkline.db";
/// The key's file in a data directory.
const KEY_FILE: &str = "secret.key";

const GET_META: &str = "SELECT value FROM meta WHERE name = $1";
const SET_META: &str = "INSERT INTO meta (name, value) VALUES ($1, $2)";
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[GET_META, SET_META];

/// What [`Store::open`] needs.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub location: Location,
    pub key: VaultKey,
}

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// An SQLite file, or a directory in which it is called `trunkline.db`.
    Sqlite(PathBuf),
    /// The URL of a PostgreSQL database, `postgres://user:password@host/database`.
    Postgres(Secret),
}

/// Where the root key of the vault comes from.
#[derive(Debug, Clone)]
pub enum VaultKey {
    /// A file of mode 0600; made when the database is new and there is none.
    File(PathBuf),
    /// The key itself: 32 bytes in base64.
    Given(Secret),
}

/// An open database with its vault. Everything else is reached through it.
#[derive(Debug)]
pub struct Store {
    database: Database,
    vault: Vault,
    watcher: Watcher,
}

impl Store {
    /// Opens the database, makes or migrates its schema, and checks that the
    /// key is the one that the database is sealed with. Processes that start
    /// at the same time do this one after the other.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do; the database is as it was.
    pub async fn open(options: StoreOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let location = options.location.to_string();
        let database = options.location.connect().await?;
        let vault = match claim(&database, &location, &options.key, clock.as_ref()).await {
            Ok(vault) => vault,
            Err(error) => {
                database.close().await;
                return Err(error);
            }
        };
        let vault = vault.failing_with(database.faults.clone());
        Ok(Arc::new(Self { watcher: Watcher::default(), database, vault }))
    }

    /// Opens `trunkline.db` with `secret.key` in `data_dir`, which is made
    /// with mode 0700 when it does not exist.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_in(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        key_file::create_directory(data_dir)
            .map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        let options = StoreOptions {
            location: Location::Sqlite(data_dir.join(DATABASE_FILE)),
            key: VaultKey::File(data_dir.join(KEY_FILE)),
        };
        Self::open(options, clock).await
    }

    /// API keys.
    pub fn keys(&self) -> Keys<'_> {
        Keys::new(&self.database, &self.watcher)
    }

    /// Grants at upstream servers.
    pub fn connections(&self) -> Connections<'_> {
        Connections::new(&self.database, &self.watcher)
    }

    /// The clients that the hub is at the authorization servers of upstream servers.
    pub fn upstream_clients(&self) -> UpstreamClients<'_> {
        UpstreamClients::new(&self.database, &self.watcher)
    }

    /// Consents at upstream servers that have begun.
    pub fn upstream_flows(&self) -> UpstreamFlows<'_> {
        UpstreamFlows::new(&self.database)
    }

    /// People and service accounts.
    pub fn users(&self) -> Users<'_> {
        Users::new(&self.database, &self.watcher)
    }

    /// Who is signed in, in which browser.
    pub fn browser_sessions(&self) -> BrowserSessions<'_> {
        BrowserSessions::new(&self.database, &self.watcher)
    }

    /// What identity providers gave for people.
    pub fn kept_identities(&self) -> KeptIdentities<'_> {
        KeptIdentities::new(&self.database, &self.watcher)
    }

    /// What the configuration no longer names.
    pub fn absences(&self) -> Absences<'_> {
        Absences::new(&self.database, &self.watcher)
    }

    /// Teams of users.
    pub fn teams(&self) -> Teams<'_> {
        Teams::new(&self.database, &self.watcher)
    }

    /// Links that sign somebody in, once.
    pub fn sign_in_links(&self) -> SignInLinks<'_> {
        SignInLinks::new(&self.database, &self.watcher)
    }

    /// The audit trail.
    pub fn audit(&self) -> Audit<'_> {
        Audit::new(&self.database)
    }

    /// Keys that sign access tokens.
    pub fn signing_keys(&self) -> SigningKeys<'_> {
        SigningKeys::new(&self.database, &self.watcher)
    }

    /// OAuth clients.
    pub fn clients(&self) -> Clients<'_> {
        Clients::new(&self.database, &self.watcher)
    }

    /// What users granted OAuth clients.
    pub fn grants(&self) -> Grants<'_> {
        Grants::new(&self.database, &self.watcher)
    }

    /// Authorization codes.
    pub fn codes(&self) -> Codes<'_> {
        Codes::new(&self.database)
    }

    /// Refresh tokens of grants.
    pub fn refresh_tokens(&self) -> RefreshTokens<'_> {
        RefreshTokens::new(&self.database, &self.watcher)
    }

    /// Consents that users gave.
    pub fn consents(&self) -> Consents<'_> {
        Consents::new(&self.database)
    }

    /// Devices that wait for a user.
    pub fn devices(&self) -> Devices<'_> {
        Devices::new(&self.database)
    }

    /// Assertions that have been used.
    pub fn used_assertions(&self) -> UsedAssertions<'_> {
        UsedAssertions::new(&self.database)
    }

    /// Removes codes, tokens and grants that ended before `over`, and clients
    /// that made themselves known and were not used since `unused`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn sweep_authorization(&self, over: Timestamp, unused: Timestamp) -> Result<Swept, StoreError> {
        sweep(&self.database, over, unused).await
    }

    /// What has changed, here and in other processes.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.database, &self.watcher)
    }

    /// Seals secrets.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Waits for running statements and closes every connection; what is
    /// asked afterwards is an error.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// What shall fail, for tests.
    #[cfg(any(test, feature = "faults"))]
    pub fn faults(&self) -> &crate::faults::Faults {
        &self.database.faults
    }

    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

impl Location {
    async fn connect(&self) -> Result<Database, OpenError> {
        let opened = match self {
            Self::Sqlite(path) => {
                let file = sqlite_file(path);
                // SQLite's own message for a file it cannot make does not say why.
                key_file::create_empty(&file).map_err(|error| self.unreachable(sqlx::Error::Io(error)))?;
                Database::open_sqlite(&file).await
            }
            Self::Postgres(url) => Database::open_postgres(url).await,
        };
        opened.map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: sqlx::Error) -> OpenError {
        OpenError::Connect { location: self.to_string(), source }
    }
}

impl fmt::Display for Location {
    /// Names the database for a person, without credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "{}", sqlite_file(path).display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url.expose()) {
                Ok(options) => write!(
                    formatter,
                    "postgres://{}:{}/{}",
                    options.get_host(),
                    options.get_port(),
                    options.get_database().unwrap_or_default()
                ),
                Err(_) => formatter.write_str("postgres://…"),
            },
        }
    }
}

fn sqlite_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(DATABASE_FILE) } else { path.to_owned() }
}

/// Migrates, and makes or checks the key, in one unit of work.
async fn claim(
    database: &Database,
    location: &str,
    key: &VaultKey,
    clock: &dyn Clock,
) -> Result<Vault, OpenError> {
    let meta = |source| OpenError::Meta { location: location.to_owned(), source };
    let mut work = database.begin_start().await.map_err(meta)?;
    migration::migrate(&mut work).await.map_err(|error| not_migrated(location.to_owned(), error))?;
    let expected = get_meta(&mut work, "key_id").await.map_err(meta)?;
    let vault = key.unlock(location, expected.as_deref())?;
    if expected.is_none() {
        set_meta(&mut work, "key_id", &vault.key_id()).await.map_err(meta)?;
        set_meta(&mut work, "created_at", &clock.now().to_string()).await.map_err(meta)?;
    }
    work.commit().await.map_err(meta)?;
    Ok(vault)
}

fn not_migrated(location: String, error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(step) => OpenError::Newer { location, step },
        source => OpenError::Migrate { location, source },
    }
}

impl VaultKey {
    /// Reads the key, and makes it when the database is new (`expected` is
    /// none) and there is no file.
    fn unlock(&self, location: &str, expected: Option<&str>) -> Result<Vault, OpenError> {
        let text = match self {
            Self::Given(secret) => secret.expose().to_owned().into(),
            Self::File(path) => match (read_key(path)?, expected) {
                (Some(text), _) => text,
                (None, None) => create_key(path)?,
                (None, Some(expected)) => {
                    return Err(OpenError::KeyMissing {
                        location: location.to_owned(),
                        expected: expected.to_owned(),
                        path: path.clone(),
                    });
                }
            },
        };
        let vault = Vault::from_text(&text)
            .map_err(|fault| OpenError::KeyMalformed { origin: self.to_string(), fault })?;
        match expected {
            Some(expected) if vault.key_id() != expected => Err(OpenError::KeyDiffers {
                location: location.to_owned(),
                expected: expected.to_owned(),
                found: vault.key_id(),
                origin: self.to_string(),
            }),
            _ => Ok(vault),
        }
    }
}

impl fmt::Display for VaultKey {
    /// Says where the key comes from.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "the key file {}", path.display()),
            Self::Given(_) => formatter.write_str("the key given in the configuration"),
        }
    }
}

fn read_key(path: &Path) -> Result<Option<zeroize::Zeroizing<String>>, OpenError> {
    key_file::read(path).map_err(|source| OpenError::KeyFile {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn create_key(path: &Path) -> Result<zeroize::Zeroizing<String>, OpenError> {
    let text = Vault::new_key_text().map_err(|_: VaultError| OpenError::NoRandomness)?;
    key_file::create(path, &text).map_err(|source| OpenError::KeyFile {
        action: "create",
        path: path.to_owned(),
        source,
    })?;
    Ok(text)
}

async fn get_meta(work: &mut Work, name: &str) -> Result<Option<String>, sqlx::Error> {
    within!(work, connection => sqlx::query_scalar(GET_META).bind(name).fetch_optional(connection).await)
}

async fn set_meta(work: &mut Work, name: &str, value: &str) -> Result<(), sqlx::Error> {
    within!(work, connection => {
        sqlx::query(SET_META).bind(name).bind(value).execute(connection).await.map(drop)
    })
}
