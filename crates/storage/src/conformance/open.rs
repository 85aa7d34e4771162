use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;
use trunkline_model::Secret;

use super::{clock, on_both, options, sqlite_in, store_at};
use crate::database::within;
use crate::{Location, OpenError, Store, StoreOptions, VaultKey};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_fresh_data_directory_is_for_its_owner_alone() {
    let parent = TempDir::new().unwrap();
    let data = parent.path().join("deep/trunkline-data");
    let store = Store::open_in(&data, clock()).await.unwrap();
    store.changes().version().await.unwrap();
    assert_eq!(mode(&data), 0o700);
    for file in ["secret.key", "trunkline.db", "trunkline.db-wal"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let sealed = store.vault().seal("token", "a", b"secret").unwrap();
    store.close().await;

    let again = Store::open_in(&data, clock()).await.unwrap();
    assert_eq!(again.vault().open("token", "a", &sealed).unwrap().as_slice(), b"secret");
    again.close().await;
}

#[tokio::test]
async fn a_database_without_its_key_file_is_refused_and_nothing_is_made() {
    let data = TempDir::new().unwrap();
    let key_file = data.path().join("secret.key");
    Store::open_in(data.path(), clock()).await.unwrap().close().await;
    let key = std::fs::read(&key_file).unwrap();
    std::fs::remove_file(&key_file).unwrap();

    let error = Store::open_in(data.path(), clock()).await.unwrap_err();
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains(&key_file.display().to_string()) && words.contains("restore that file"),
        "{words}"
    );
    assert!(!key_file.exists());

    std::fs::write(&key_file, key).unwrap();
    Store::open_in(data.path(), clock()).await.unwrap().close().await;
}

#[tokio::test]
async fn another_key_is_refused() {
    on_both(async |location| {
        store_at(location.clone()).await.close().await;
        let other = VaultKey::Given(Secret::new("BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="));
        let error = Store::open(StoreOptions { location, key: other }, clock()).await.unwrap_err();
        assert!(matches!(error, OpenError::KeyDiffers { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_key_file_that_is_no_key_is_refused() {
    let data = TempDir::new().unwrap();
    std::fs::write(data.path().join("secret.key"), "hunter2\n").unwrap();
    let error = Store::open_in(data.path(), clock()).await.unwrap_err();
    assert!(matches!(error, OpenError::KeyMalformed { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"));
    std::fs::remove_file(data.path().join("secret.key")).unwrap();
    Store::open_in(data.path(), clock()).await.unwrap().close().await;
}

#[tokio::test]
async fn processes_that_start_together_make_one_database() {
    on_both(async |location: Location| {
        let many = (0..4).map(|_| Store::open(options(location.clone()), clock()));
        for store in futures_util::future::join_all(many).await {
            store.unwrap().close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn processes_that_start_together_make_one_key() {
    let data = TempDir::new().unwrap();
    let many = (0..4).map(|_| Store::open_in(data.path(), clock()));
    let stores: Vec<_> = futures_util::future::join_all(many).await.into_iter().map(Result::unwrap).collect();
    for store in &stores {
        assert_eq!(store.vault().key_id(), stores[0].vault().key_id());
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    on_both(async |location: Location| {
        let store = store_at(location.clone()).await;
        let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        let mut work = store.database().begin().await.unwrap();
        within!(&mut work, connection => sqlx::query(sql).execute(connection).await.map(drop)).unwrap();
        work.commit().await.unwrap();
        store.close().await;
        let error = Store::open(options(location), clock()).await.unwrap_err();
        assert!(matches!(error, OpenError::Newer { step: 9999, .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_at_once() {
    // Free again at once: the port refuses.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = Secret::new(format!("postgres://user:hunter2@{free}/base?sslmode=disable"));
    let error = Store::open(options(Location::Postgres(url)), clock()).await.unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains(&free.to_string()), "{error}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_without_its_password() {
    let url = Secret::new("postgres://user:hunter2@localhost/base?host=/nowhere");
    let error = Store::open(options(Location::Postgres(url)), clock()).await.unwrap_err().to_string();
    assert!(error.contains("/base") && !error.contains("hunter2"), "{error}");

    let error = Store::open(options(sqlite_in(Path::new("/nowhere/file.db"))), clock()).await.unwrap_err();
    let words = error.to_string();
    assert!(words.contains("/nowhere/file.db") && words.contains("No such file"), "{words}");

    let data = TempDir::new().unwrap();
    std::fs::write(
        data.path().join("trunkline.db"),
        "this is not a database, but long enough to be read as one",
    )
    .unwrap();
    let error = Store::open_in(data.path(), clock()).await.unwrap_err().to_string();
    assert!(error.contains("trunkline.db") && error.contains("not a database"), "{error}");
}
