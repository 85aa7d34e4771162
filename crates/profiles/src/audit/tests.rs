use std::sync::Arc;
use std::time::Duration;

use trunkline_model::{Decision, Outcome, Reason, Sizes};
use trunkline_storage::{Location, Store, StoreOptions, VaultKey};

use super::chain::{Head, hash_of};
use super::*;
use crate::fixture::{Fixture, NOON, asked, caller_of, engineering};
use crate::{Guard, Kind};
use trunkline_model::{AuditEvent, ManualClock, Secret};
use uuid::Uuid;

fn event(number: u64) -> AuditEvent {
    AuditEvent {
        id: id_at(NOON),
        at: NOON,
        profile: None,
        caller: None,
        request_id: Uuid::from_u128(u128::from(number)),
        method: "tools/call".into(),
        server: None,
        target: None,
        shown_as: None,
        decision: Decision::deny(Reason::BadRequest),
        outcome: Outcome::Ok,
        duration_us: number,
        sizes: Sizes::default(),
    }
}

async fn with_events(count: u64) -> Fixture {
    let fixture = Fixture::new().await;
    for number in 1..=count {
        fixture.audit.append(&event(number)).unwrap();
    }
    fixture.audit.flush().await.unwrap();
    fixture
}

async fn first_fault(fixture: &Fixture) -> (i64, FaultKind) {
    let report = verify(&fixture.store).await.unwrap();
    assert!(!report.is_intact(), "{report:?}");
    let fault = report.first_fault().unwrap();
    assert_eq!(fault.chain, fixture.audit.chain());
    (fault.seq, fault.kind)
}

#[tokio::test]
async fn a_chain_can_be_checked_by_hand() {
    let fixture = with_events(2).await;
    let rows = fixture.rows().await;
    // printf of the chain's id, the number and the payload through sha256sum.
    let start = Head::start_of(fixture.audit.chain());
    assert_eq!((rows[0].seq, rows[0].prev_hash), (1, start.hash));
    assert_eq!(rows[1].prev_hash, rows[0].hash);
    assert_eq!(rows[1].hash, hash_of(&rows[0].hash, 2, rows[1].payload.as_bytes()));
    let known = hash_of(&[0; 32], 1, b"{}");
    let (high, low) = known.split_at(16);
    let number = |half: &[u8]| u128::from_be_bytes(half.try_into().unwrap());
    let hex = format!("{:032x}{:032x}", number(high), number(low));
    // (head -c 32 /dev/zero; printf '\0\0\0\0\0\0\0\1{}') | sha256sum
    assert_eq!(hex, "1bad765d926feacace97a8ddcd329a1f4254c208affc1ba86b3c7d59e8fba83e");
}

#[tokio::test]
async fn an_untouched_trail_is_intact() {
    let fixture = with_events(700).await;
    let report = verify(&fixture.store).await.unwrap();
    assert_eq!(report, VerifyReport { chains: 1, events: 700, faults: vec![] });
    let next_process =
        AuditLog::start(Arc::clone(&fixture.store), &fixture.journal(), &fixture.clock).await.unwrap();
    next_process.append(&event(1)).unwrap();
    next_process.flush().await.unwrap();
    let report = verify(&fixture.store).await.unwrap();
    assert_eq!(report, VerifyReport { chains: 2, events: 701, faults: vec![] });
}

#[tokio::test]
async fn an_edit_is_found() {
    for sql in [
        "UPDATE audit_event SET payload = replace(payload, 'tools/call', 'tools/list') WHERE seq = 3",
        "UPDATE audit_event SET at = at + 1 WHERE seq = 3",
        "UPDATE audit_event SET hash = zeroblob(32) WHERE seq = 3",
    ] {
        let fixture = with_events(5).await;
        assert_eq!(fixture.tamper(sql).await, 1);
        assert_eq!(first_fault(&fixture).await, (3, FaultKind::Edited), "{sql}");
    }
}

#[tokio::test]
async fn an_edit_with_a_new_hash_is_found_at_the_next_line() {
    let fixture = with_events(5).await;
    let rows = fixture.rows().await;
    let payload = rows[2].payload.replace("call", "list");
    let hash = hash_of(&rows[2].prev_hash, 3, payload.as_bytes());
    sqlx::query("UPDATE audit_event SET payload = $1, hash = $2 WHERE seq = 3")
        .bind(payload)
        .bind(hash.as_slice())
        .execute(&mut fixture.back_door().await)
        .await
        .unwrap();
    assert_eq!(first_fault(&fixture).await, (4, FaultKind::Misplaced));
}

#[tokio::test]
async fn a_removed_line_is_found() {
    let fixture = with_events(5).await;
    assert_eq!(fixture.tamper("DELETE FROM audit_event WHERE seq = 3").await, 1);
    assert_eq!(first_fault(&fixture).await, (3, FaultKind::Missing));
    let fixture = with_events(5).await;
    assert_eq!(fixture.tamper("DELETE FROM audit_event WHERE seq = 1").await, 1);
    assert_eq!(first_fault(&fixture).await, (1, FaultKind::Missing));
    let fixture = with_events(5).await;
    assert_eq!(fixture.tamper("DELETE FROM audit_event WHERE seq = 5").await, 1);
    fixture.audit.append(&event(6)).unwrap();
    fixture.audit.flush().await.unwrap();
    assert_eq!(first_fault(&fixture).await, (5, FaultKind::Missing), "found at the next event");
}

#[tokio::test]
async fn moved_lines_are_found() {
    let swap = "UPDATE audit_event SET seq = CASE seq WHEN 12 THEN 3 WHEN 13 THEN 2 ELSE seq END";
    let fixture = with_events(5).await;
    fixture.tamper("UPDATE audit_event SET seq = seq + 10 WHERE seq IN (2, 3)").await;
    fixture.tamper(swap).await;
    assert_eq!(first_fault(&fixture).await, (2, FaultKind::Misplaced));

    let fixture = with_events(5).await;
    fixture.tamper("UPDATE audit_event SET seq = 0 WHERE seq = 2").await;
    assert_eq!(first_fault(&fixture).await, (0, FaultKind::Misplaced));

    let fixture = with_events(5).await;
    fixture.tamper("UPDATE audit_event SET chain = zeroblob(16)").await;
    let report = verify(&fixture.store).await.unwrap();
    assert_eq!(report.first_fault().unwrap().kind, FaultKind::Misplaced, "under another chain's id");
}

/// Threads that settle at the same time.
const THREADS: u64 = 8;
const EACH: u64 = 400;

async fn many_concurrent_settles(store: Arc<Store>) {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::starting_at(NOON);
    let audit = AuditLog::start(Arc::clone(&store), directory.path(), &clock).await.unwrap();
    let guard = Guard::new(audit.clone(), Arc::new(clock));
    let (profile, caller) = (engineering(), caller_of("engineering"));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for bytes in 0..EACH {
                    let permit =
                        guard.admit(&caller, &profile, asked(Kind::Tool, "files", "read_file")).unwrap();
                    permit.settle(Outcome::Ok, bytes).unwrap();
                }
            });
        }
    });
    audit.flush().await.unwrap();
    let report = verify(&store).await.unwrap();
    assert_eq!(report, VerifyReport { chains: 1, events: THREADS * EACH, faults: vec![] });
    audit.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_concurrent_settles_are_all_durable_in_one_chain() {
    many_concurrent_settles(Arc::clone(&Fixture::new().await.store)).await;
    if let Some(url) = trunkline_storage::testing::postgres_url().await.unwrap() {
        let key = VaultKey::Given(Secret::new("A".repeat(43)));
        let options = StoreOptions { location: Location::Postgres(url), key };
        many_concurrent_settles(
            Store::open(options, Arc::new(ManualClock::starting_at(NOON))).await.unwrap(),
        )
        .await;
    }
}

#[tokio::test]
async fn while_the_database_is_away_events_wait_in_order_and_nothing_is_lost() {
    let fixture = with_events(3).await;
    fixture.tamper("ALTER TABLE audit_event RENAME TO away").await;
    for number in 4..=900 {
        fixture.audit.append(&event(number)).unwrap();
    }
    assert!(fixture.audit.flush().await.is_err());
    fixture.audit.append(&event(901)).unwrap();
    fixture.tamper("ALTER TABLE away RENAME TO audit_event").await;
    fixture.audit.flush().await.unwrap();

    let report = verify(&fixture.store).await.unwrap();
    assert_eq!(report, VerifyReport { chains: 1, events: 901, faults: vec![] });
    let durations: Vec<u64> = fixture.trail().await.iter().map(|event| event.duration_us).collect();
    assert_eq!(durations, (1..=901).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_the_database_did_not_take_before_the_end_the_next_process_brings_in() {
    let fixture = with_events(2).await;
    fixture.tamper("ALTER TABLE audit_event RENAME TO away").await;
    fixture.audit.append(&event(3)).unwrap();
    fixture.audit.close().await;
    fixture.tamper("ALTER TABLE away RENAME TO audit_event").await;

    let next = AuditLog::start(Arc::clone(&fixture.store), &fixture.journal(), &fixture.clock).await.unwrap();
    assert_ne!(next.chain(), fixture.audit.chain());
    assert_eq!(verify(&fixture.store).await.unwrap(), VerifyReport { chains: 1, events: 3, faults: vec![] });
}

#[tokio::test]
async fn events_reach_the_database_by_themselves() {
    let fixture = Fixture::new().await;
    fixture.audit.append(&event(1)).unwrap();
    let there = async { while verify(&fixture.store).await.unwrap().events < 1 {} };
    tokio::time::timeout(Duration::from_mins(1), there).await.unwrap();
}

#[tokio::test]
async fn an_event_that_cannot_be_written_leaves_no_gap() {
    let fixture = Fixture::new().await;
    std::fs::remove_dir(fixture.journal()).unwrap();
    assert!(fixture.audit.append(&event(1)).is_err());
    std::fs::create_dir(fixture.journal()).unwrap();
    fixture.audit.append(&event(2)).unwrap();
    fixture.audit.flush().await.unwrap();
    assert_eq!(verify(&fixture.store).await.unwrap(), VerifyReport { chains: 1, events: 1, faults: vec![] });
}

#[tokio::test]
async fn closing_moves_what_waits_and_leaves_no_file() {
    let fixture = Fixture::new().await;
    for number in 1..=500 {
        fixture.audit.append(&event(number)).unwrap();
    }
    assert_eq!(fixture.trail().await.len(), 500);
    assert!(fixture.audit.append(&event(501)).is_err(), "closed");
    assert_eq!(std::fs::read_dir(fixture.journal()).unwrap().count(), 0);
    fixture.audit.close().await;
}
