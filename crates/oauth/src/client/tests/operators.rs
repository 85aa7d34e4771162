//! What operators do with clients, and row 26 of the attack list: what is
//! deleted is revoked and erased.

use trunkline_model::{Connection, ConnectionOwner};

use super::authority::ISSUER;
use super::{Bench, owner, server};

#[tokio::test]
async fn a_disconnected_server_is_revoked_erased_and_not_resurrected() {
    let mut bench = Bench::new().await;
    bench.connect().await.unwrap();
    assert!(bench.connections.disconnect(&server(), &owner()).await.unwrap());
    assert_eq!(bench.authority.script().revoked, ["refresh-1", "access-1"]);
    assert!(bench.token().await.is_err());
    assert!(!bench.connections.disconnect(&server(), &owner()).await.unwrap(), "once");
    bench.restart().await;
    assert!(bench.token().await.is_err());
    assert!(bench.store.connections().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_connections_of_a_deleted_user_are_revoked_and_those_of_others_stay() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let row = bench.store.connections().find(&server(), &owner()).await.unwrap().unwrap();
    let gone = ConnectionOwner::named("usr_01a21748e52e7ceba17c90cd8eb56dbc");
    bench.store.connections().put(&Connection { owner: gone, ..row.clone() }).await.unwrap();
    let shared = Connection { owner: ConnectionOwner::shared(), ..row };
    bench.store.connections().put(&shared).await.unwrap();
    bench.connections.catch_up().await.unwrap();
    bench.connections.forget_gone_owners().await.unwrap();
    let left: Vec<_> =
        bench.connections.list().into_iter().map(|shown| shown.owner.as_str().to_owned()).collect();
    assert_eq!(left, ["shared", "usr_ann"], "what is no id of a user is left");
}

#[tokio::test]
async fn a_deleted_client_takes_every_grant_with_it() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let clients = bench.connections.clients().await.unwrap();
    assert_eq!((clients.len(), clients[0].connections), (1, 1));
    assert_eq!(clients[0].redirect_uris, ["https://hub.example/oauth/upstream/callback"]);
    assert_eq!(bench.connections.delete_client(&server(), ISSUER).await.unwrap(), 1);
    assert_eq!(bench.authority.script().revoked, ["refresh-1", "access-1"]);
    assert!(bench.authority.script().asked.contains(&format!("DELETE {ISSUER}/register/client-1")));
    assert!(bench.connections.clients().await.unwrap().is_empty());
    assert!(bench.token().await.is_err());
}

#[tokio::test]
async fn a_paused_client_is_not_used_until_it_is_resumed() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.connections.pause_client(&server(), ISSUER, true).await.unwrap();
    let error = bench.token().await.unwrap_err();
    assert!(error.to_string().contains("paused"), "{error}");
    assert!(bench.begin().await.is_err(), "nobody begins a consent");
    bench.connections.pause_client(&server(), ISSUER, false).await.unwrap();
    assert!(bench.token().await.is_ok());
}

#[tokio::test]
async fn a_rotated_secret_is_the_one_that_is_used() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.connections.rotate_client(&server(), ISSUER).await.unwrap();
    let proof = bench.connections.proof(&server(), ISSUER, "client-1").await.unwrap();
    assert_eq!(proof.secret.unwrap().expose(), "secret-101");
    assert!(bench.token().await.is_ok(), "connections go on");
}

#[tokio::test]
async fn no_token_and_no_secret_is_shown_or_stored_in_clear() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let shown = serde_json::to_string(&bench.connections.list()).unwrap()
        + &serde_json::to_string(&bench.connections.clients().await.unwrap()).unwrap()
        + &format!("{:?}", bench.credential().held);
    let rows = format!(
        "{:?} {:?}",
        bench.store.connections().list().await.unwrap(),
        bench.store.upstream_clients().list().await.unwrap()
    );
    for secret in ["access-1", "refresh-1", "secret-1", "manage"] {
        assert!(!shown.contains(secret) && !rows.contains(secret), "{secret}");
    }
}
