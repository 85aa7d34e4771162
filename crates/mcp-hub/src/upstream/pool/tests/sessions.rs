//! Servers behind a URL that keep something for each session.

use trunkline_model::{HttpEndpoint, HttpTransport, ServerAuth};

use super::*;
use crate::upstream::http::scripted::stateful::Sessions;
use crate::upstream::http::scripted::{self, Scripted};

fn at(server: &Scripted) -> ServerSpec {
    let endpoint = Endpoint::Http(HttpEndpoint {
        url: server.url.clone(),
        transport: HttpTransport::StreamableHttp,
        headers: Vec::new(),
        auth: ServerAuth::None,
    });
    ServerSpec { endpoint, instances: Instances::PerUser, ..legacy() }
}

fn at_any(server: &Scripted) -> ServerSpec {
    let spec = at(server);
    let Endpoint::Http(endpoint) = spec.endpoint else { panic!("a server behind a URL") };
    let endpoint = Endpoint::Http(HttpEndpoint { transport: HttpTransport::Auto, ..endpoint });
    ServerSpec { endpoint, ..spec }
}

/// Which instance serves the session.
async fn try_connect(bench: &Bench, session: Option<u128>) -> Result<(InstanceKey, Lease), UpstreamError> {
    let (server, identity, offer) = (name(), identity("one"), Offer::default());
    let connecting = bench.pool.connection_for(&server, &identity, session.map(Uuid::from_u128), &offer);
    timeout(PATIENCE, connecting).await.expect("an answer")
}

async fn connected(bench: &Bench, session: Option<u128>) -> (InstanceKey, Lease) {
    try_connect(bench, session).await.unwrap()
}

#[tokio::test]
async fn what_a_server_gives_sessions_to_is_shared_by_no_two_from_the_first_contact_on() {
    let sessions = Sessions::default();
    let server = sessions.start().await;
    let bench = Bench::new(at(&server));
    let leases = join_all((1..=20).map(|session| connected(&bench, Some(session)))).await;
    for (number, (key, lease)) in leases.iter().enumerate() {
        assert!(matches!(&key.scope, Scope::Session(..)) && *lease.key() == *key, "{key:?}");
        let others = leases.iter().enumerate().filter(|(other, _)| *other != number);
        assert!(others.into_iter().all(|(_, (other, _))| other != key));
    }
    let (again, _) = connected(&bench, Some(1)).await;
    assert_eq!(again, leases[0].0);
    let (without, _) = connected(&bench, None).await;
    assert!(matches!(without.scope, Scope::Identity(..)));
    assert_eq!(sessions.count(), 21, "one more, by which the server was found to keep sessions");
}

#[tokio::test]
async fn a_server_without_sessions_is_shared_by_all_of_an_identity() {
    let mut server = Scripted::start(|asked| match asked.what() {
        "initialize" => scripted::result(
            asked,
            r#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s"}}"#,
        ),
        "GET" => scripted::status(405),
        _ => scripted::status(202),
    })
    .await;
    let bench = Bench::new(at(&server));
    let leases = join_all((1..=20).map(|session| connected(&bench, Some(session)))).await;
    assert!(leases.iter().all(|(key, _)| *key == leases[0].0));
    server.next("GET").await;
    let asked = server.so_far();
    assert!(!asked.iter().any(|what| what == "initialize"), "{asked:?}");
}

#[tokio::test]
async fn over_the_old_transport_each_session_has_its_own_stream() {
    let mut served = crate::upstream::sse::tests::serve(|_| None).await;
    let bench = Bench::new(ServerSpec { era: EraPin::Auto, ..at_any(&served.server) });
    let (one, _lease) = connected(&bench, Some(1)).await;
    let (two, _lease) = connected(&bench, Some(2)).await;
    assert!(matches!(&one.scope, Scope::Session(..)) && matches!(&two.scope, Scope::Session(..)));
    assert_ne!(one, two);
    let streams = served.server.so_far().iter().filter(|what| *what == "GET").count();
    assert_eq!(streams, 3, "one more, by which the server was found to be of that kind");
}

#[tokio::test]
async fn a_session_upstream_ends_with_the_downstream_one_and_not_by_idling() {
    let sessions = Sessions::default();
    let mut server = sessions.start().await;
    let bench = Bench::new(ServerSpec { idle_timeout: Duration::ZERO, ..at(&server) });
    drop(connected(&bench, Some(1)).await);
    // The identity's own one idles.
    server.next("DELETE").await;
    let (_, lease) = connected(&bench, Some(1)).await;
    drop(lease);
    assert_eq!(bench.pool.sessions(), [Uuid::from_u128(1)].into());
    assert_eq!(sessions.count(), 2);
    bench.pool.end_session(Uuid::from_u128(1));
    server.next("DELETE").await;
    assert!(bench.pool.sessions().is_empty());
}

#[tokio::test]
async fn when_there_are_too_many_sessions_the_longest_idle_are_ended() {
    let sessions = Sessions::default();
    let server = sessions.start().await;
    let bench = Bench::with(at(&server), Limits { sessions: 2, instances: 1, ..limits() });
    let (_, first) = connected(&bench, Some(1)).await;
    let (_, second) = connected(&bench, Some(2)).await;
    assert!(
        matches!(try_connect(&bench, Some(3)).await, Err(UpstreamError::Busy { limit: 2 })),
        "both are in use"
    );
    drop(first);
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(second);
    connected(&bench, Some(3)).await;
    let living = bench.pool.sessions();
    assert_eq!(living, [Uuid::from_u128(2), Uuid::from_u128(3)].into(), "the one that idled longest is gone");
}

#[tokio::test]
async fn the_end_of_a_forgotten_session_leaves_its_successor_alone() {
    let sessions = Sessions::default();
    let mut server = sessions.start().await;
    let mut bench = Bench::new(at(&server));
    // Somebody keeps the old one, as a subscription does.
    let (_, old) = connected(&bench, Some(1)).await;
    for _ in 0..2 {
        server.next("GET").await;
    }
    sessions.forget(&format!("session-{}", sessions.count()));
    old.failed(&UpstreamError::SessionLost);
    let (_, new) = connected(&bench, Some(1)).await;
    assert!(!Arc::ptr_eq(&old.instance, &new.instance));
    assert!(bench.closed().await.contains("forgotten"));
    let (_, still) = connected(&bench, Some(1)).await;
    assert!(Arc::ptr_eq(&new.instance, &still.instance), "what the server keeps for it is still there");
}
