//! Every repository, on both databases: the same test body runs on SQLite
//! and then on a real PostgreSQL.

mod absences;
mod audit;
mod authorization;
mod changes;
mod connections;
mod identities;
mod journal;
mod keys;
mod open;
mod people;
mod schema;
mod vault;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use trunkline_model::{Clock, ManualClock, Secret, Timestamp};

use crate::{Location, Store, StoreOptions, VaultKey, testing};

/// 32 zero bytes.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::starting_at(Timestamp::from_micros(1_700_000_000_000_000)))
}

fn options(location: Location) -> StoreOptions {
    StoreOptions { location, key: VaultKey::Given(Secret::new(KEY)) }
}

async fn store_at(location: Location) -> Arc<Store> {
    Store::open(options(location), clock()).await.unwrap()
}

fn sqlite_in(directory: &Path) -> Location {
    Location::Sqlite(directory.to_owned())
}

/// A new PostgreSQL database; none where PostgreSQL is absent.
async fn postgres() -> Option<Location> {
    testing::postgres_url().await.unwrap().map(Location::Postgres)
}

/// Runs `body` with the location of a new database of each kind.
async fn on_both<Body, Done>(body: Body)
where
    Body: Fn(Location) -> Done,
    Done: Future<Output = ()>,
{
    let directory = TempDir::new().unwrap();
    body(sqlite_in(directory.path())).await;
    if let Some(location) = postgres().await {
        body(location).await;
    }
}
