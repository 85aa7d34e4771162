use std::time::Duration;

use trunkline_model::{KeyId, Timestamp};
use uuid::Uuid;

use super::{on_both, postgres, store_at};
use crate::database::Pools;
use crate::{Location, Topic};

#[tokio::test]
async fn the_counter_rises_with_every_change_and_knows_what_changed() {
    on_both(async |location| {
        let store = store_at(location).await;
        let changes = store.changes();
        assert_eq!(changes.version().await.unwrap(), 0);
        assert_eq!(changes.announce(Topic::Configuration).await.unwrap(), 1);
        assert_eq!(changes.announce(Topic::Keys).await.unwrap(), 2);
        assert_eq!(changes.announce(Topic::Configuration).await.unwrap(), 3);
        assert_eq!(changes.version().await.unwrap(), 3);
        assert_eq!(changes.since(0).await.unwrap(), [Topic::Keys, Topic::Configuration]);
        assert_eq!(changes.since(2).await.unwrap(), [Topic::Configuration]);
        assert_eq!(changes.since(3).await.unwrap(), []);
        let nothing = KeyId::from_uuid(Uuid::nil());
        store.keys().revoke(nothing, Timestamp::from_micros(1)).await.unwrap();
        assert_eq!(changes.version().await.unwrap(), 3, "nothing was revoked");
        store.close().await;
    })
    .await;
}

/// Two stores on one database are what two processes are.
#[tokio::test]
async fn a_change_by_another_process_wakes_who_waits() {
    on_both(async |location: Location| {
        let hub = store_at(location.clone()).await;
        let cli = store_at(location).await;
        for round in 1..=3 {
            let (seen, announced) =
                tokio::join!(hub.changes().wait_past(round - 1), cli.changes().announce(Topic::Keys));
            assert_eq!((seen, announced.unwrap()), (round, round));
        }
        assert_eq!(hub.changes().wait_past(0).await, 3, "a late waiter is told at once");
        hub.close().await;
        cli.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_by_the_same_process_wakes_without_delay() {
    on_both(async |location| {
        let store = store_at(location).await;
        let waiting = async {
            let two = tokio::join!(store.changes().wait_past(0), store.changes().wait_past(0));
            assert_eq!(two, (1, 1));
        };
        tokio::join!(waiting, async { store.changes().announce(Topic::Keys).await.unwrap() });
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn concurrent_changes_each_get_their_own_version() {
    on_both(async |location| {
        let store = store_at(location).await;
        let many = (0..20).map(|_| async { store.changes().announce(Topic::Keys).await.unwrap() });
        let mut versions = futures_util::future::join_all(many).await;
        versions.sort_unstable();
        assert_eq!(versions, (1..=20).collect::<Vec<i64>>());
        store.close().await;
    })
    .await;
}

/// What was announced while the connection was gone is not missed.
#[tokio::test]
async fn a_lost_listener_catches_up() {
    let Some(location) = postgres().await else { return };
    let hub = store_at(location.clone()).await;
    let cli = store_at(location).await;
    let (seen, _) = tokio::join!(hub.changes().wait_past(0), cli.changes().announce(Topic::Keys));
    assert_eq!(seen, 1);

    let Pools::Postgres(pool) = &cli.database().pools else { unreachable!() };
    let cut =
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    let cut = cut.execute(pool).await.unwrap().rows_affected();
    assert_eq!(cut, 1, "the one listener, of the hub");
    cli.changes().announce(Topic::Keys).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(30), hub.changes().wait_past(1)).await;
    assert_eq!(seen.unwrap(), 2);
    hub.close().await;
    cli.close().await;
}
