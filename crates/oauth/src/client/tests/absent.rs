//! What the configuration no longer names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trunkline_model::{ApiKey, Clock, KeyId, ProfileName, TokenHash};
use trunkline_storage::AbsenceKind;

use super::{Bench, NOW};
use crate::absent::{Absent, Configured, Ended, PATIENCE};

fn named(servers: &[&str], profiles: &[&str]) -> Configured {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Configured { servers: set(servers), profiles: set(profiles), providers: BTreeSet::new() }
}

fn absent(bench: &Bench) -> Absent {
    let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
    Absent { store: Arc::clone(&bench.store), connections: Arc::clone(&bench.connections), clock }
}

#[tokio::test]
async fn a_server_that_is_gone_for_a_day_has_its_grants_revoked_and_its_registration_deleted() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let absent = absent(&bench);
    let (with, without) = (named(&["tracker"], &[]), named(&[], &[]));
    assert_eq!(absent.sweep(&with).await.unwrap(), []);
    bench.clock.advance(PATIENCE * 2);
    assert_eq!(absent.sweep(&without).await.unwrap(), [], "it counts from when it was noticed");
    bench.clock.advance(PATIENCE / 2);
    assert_eq!(absent.sweep(&with).await.unwrap(), [], "back");
    bench.clock.advance(PATIENCE / 2);
    assert_eq!(absent.sweep(&without).await.unwrap(), [], "and gone again, from here on");
    bench.clock.advance(PATIENCE.saturating_sub(Duration::from_secs(1)));
    assert_eq!(absent.sweep(&without).await.unwrap(), []);
    assert!(bench.authority.script().revoked.is_empty());

    bench.clock.advance(Duration::from_secs(1));
    let name = "tracker".to_owned();
    let ended = absent.sweep(&without).await.unwrap();
    assert_eq!(ended, [Ended { kind: AbsenceKind::Server, name, count: 2 }], "a connection and a client");
    assert_eq!(bench.authority.script().revoked, ["refresh-1", "access-1"]);
    let deleted = "DELETE https://as.example/register/client-1".to_owned();
    assert!(bench.authority.script().asked.contains(&deleted));
    assert!(
        bench.connections.list().is_empty() && bench.store.connections().list().await.unwrap().is_empty()
    );
    assert!(bench.store.upstream_clients().list().await.unwrap().is_empty());
    assert!(bench.store.absences().list().await.unwrap().is_empty());
    assert_eq!(absent.sweep(&with).await.unwrap(), []);
    assert!(bench.token().await.is_err(), "nothing comes back with the name");
}

#[tokio::test]
async fn a_profile_that_is_gone_for_a_day_has_its_keys_revoked_by_whoever_sweeps_first() {
    let bench = Bench::new().await;
    let key = |number: u8, profile: &str| ApiKey {
        id: KeyId::new([number; 10], NOW),
        name: format!("key {number}"),
        hash: TokenHash([number; 32]),
        hint: "tlk_abcd".into(),
        profile: ProfileName::new(profile).unwrap(),
        owner: None,
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        previous: None,
    };
    for key in [key(1, "gone"), key(2, "gone"), key(3, "stays")] {
        bench.store.keys().insert(&key).await.unwrap();
    }
    let (one, other) = (absent(&bench), absent(&bench));
    let configured = named(&[], &["stays"]);
    assert_eq!(one.sweep(&configured).await.unwrap(), []);
    assert_eq!(other.sweep(&configured).await.unwrap(), []);
    bench.clock.advance(PATIENCE);
    let (first, second) = tokio::join!(one.sweep(&configured), other.sweep(&configured));
    let ended: Vec<Ended> = [first.unwrap(), second.unwrap()].concat();
    assert_eq!(ended, [Ended { kind: AbsenceKind::Profile, name: "gone".to_owned(), count: 2 }]);
    let live: Vec<_> =
        bench.store.keys().list().await.unwrap().into_iter().filter(|key| key.revoked_at.is_none()).collect();
    assert_eq!(live, [key(3, "stays")]);
    assert_eq!(one.sweep(&named(&[], &["stays", "gone"])).await.unwrap(), []);
    assert!(bench.store.keys().find(key(1, "gone").id).await.unwrap().unwrap().revoked_at.is_some());
}
