use std::time::Duration;

use trunkline_model::{
    Connection, ConnectionDetail, ConnectionOwner, ConnectionState, RegisteredBy, ServerName, Timestamp,
    UpstreamClient, UpstreamClientDetail,
};

use super::{on_both, store_at};
use crate::{Saved, Topic};

const HOUR: Duration = Duration::from_hours(1);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn server() -> ServerName {
    ServerName::new("tracker").unwrap()
}

fn connection(owner: &str, version: i64) -> Connection {
    Connection {
        server: server(),
        owner: ConnectionOwner::named(owner),
        version,
        state: ConnectionState::Connected,
        sealed: Some("v1.x.y".into()),
        detail: ConnectionDetail {
            issuer: "https://as.example".into(),
            scopes: vec!["read".into()],
            ..ConnectionDetail::default()
        },
        lease: None,
    }
}

#[tokio::test]
async fn a_connection_is_found_as_it_was_stored_and_gone_once_removed() {
    on_both(async |location| {
        let store = store_at(location).await;
        let connections = store.connections();
        connections.put(&connection("usr_b", 1)).await.unwrap();
        connections.put(&connection("usr_a", 7)).await.unwrap();
        assert_eq!(connections.list().await.unwrap(), [connection("usr_a", 7), connection("usr_b", 1)]);
        let owner = ConnectionOwner::named("usr_a");
        assert_eq!(connections.find(&server(), &owner).await.unwrap(), Some(connection("usr_a", 7)));
        assert_eq!(store.changes().since(0).await.unwrap(), [Topic::Connections]);

        connections.put(&Connection { sealed: None, ..connection("usr_a", 9) }).await.unwrap();
        let again = connections.find(&server(), &owner).await.unwrap().unwrap();
        assert_eq!((again.version, again.sealed), (9, None), "the new one stands in its place");

        assert!(connections.delete(&server(), &owner).await.unwrap());
        assert!(!connections.delete(&server(), &owner).await.unwrap(), "once");
        assert_eq!(connections.find(&server(), &owner).await.unwrap(), None);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn one_alone_holds_the_lease_until_it_saves_or_its_time_is_over() {
    on_both(async |location| {
        let store = store_at(location).await;
        let connections = store.connections();
        let stored = connection("shared", 1);
        connections.put(&stored).await.unwrap();
        let mut begun = stored.clone();
        begun.detail.refreshing_since = Some(at(10));
        let until = at(10).plus(HOUR);
        assert!(connections.lease(&begun, "one", until, at(10)).await.unwrap());
        assert!(!connections.lease(&begun, "two", until, at(11)).await.unwrap(), "it is leased");
        let found = connections.find(&server(), &stored.owner).await.unwrap().unwrap();
        assert_eq!(found.lease, Some(("one".to_owned(), until)));
        assert_eq!(found.detail.refreshing_since, Some(at(10)), "that a refresh was sent is known");
        assert_eq!(connections.save(&stored, "two").await.unwrap(), Saved::Superseded, "not the holder");
        assert_eq!(connections.save(&stored, "one").await.unwrap(), Saved::Done);
        let found = connections.find(&server(), &stored.owner).await.unwrap().unwrap();
        assert_eq!((found.version, found.lease), (2, None));
        assert_eq!(connections.save(&stored, "one").await.unwrap(), Saved::Superseded, "of an old version");

        let next = Connection { version: 2, ..stored };
        assert!(connections.lease(&next, "one", until, at(20)).await.unwrap());
        assert!(
            connections.lease(&next, "two", until.plus(HOUR), until.plus(HOUR)).await.unwrap(),
            "too late"
        );
        connections.delete(&server(), &next.owner).await.unwrap();
        assert_eq!(connections.save(&next, "two").await.unwrap(), Saved::Superseded, "it stays removed");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_is_kept_for_each_issuer() {
    on_both(async |location| {
        let store = store_at(location).await;
        let client = |issuer: &str, id: &str| UpstreamClient {
            server: server(),
            issuer: issuer.into(),
            client_id: id.into(),
            sealed: None,
            detail: UpstreamClientDetail {
                registered_by: RegisteredBy::Dcr,
                redirect_uris: vec!["https://hub.example/cb".into()],
                ..UpstreamClientDetail::default()
            },
        };
        let clients = store.upstream_clients();
        clients.put(&client("https://b", "1")).await.unwrap();
        clients.put(&client("https://a", "2")).await.unwrap();
        clients.put(&client("https://b", "3")).await.unwrap();
        assert_eq!(clients.list().await.unwrap(), [client("https://a", "2"), client("https://b", "3")]);
        assert_eq!(clients.find(&server(), "https://b").await.unwrap(), Some(client("https://b", "3")));
        assert_eq!(clients.find(&server(), "https://c").await.unwrap(), None);
        assert!(clients.delete(&server(), "https://b").await.unwrap());
        assert!(!clients.delete(&server(), "https://b").await.unwrap());
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_begun_consent_is_taken_once_and_in_time() {
    on_both(async |location| {
        let store = store_at(location).await;
        let flows = store.upstream_flows();
        for number in [1, 2, 3] {
            flows.insert([number; 32], "sealed", at(100), at(1)).await.unwrap();
        }
        assert_eq!(flows.take([1; 32], at(99)).await.unwrap().as_deref(), Some("sealed"));
        assert_eq!(flows.take([1; 32], at(99)).await.unwrap(), None, "once");
        assert_eq!(flows.take([2; 32], at(100)).await.unwrap(), None, "too late");
        assert_eq!(flows.take([9; 32], at(1)).await.unwrap(), None, "never begun");
        flows.insert([4; 32], "sealed", at(300), at(200)).await.unwrap();
        assert_eq!(flows.take([3; 32], at(1)).await.unwrap(), None, "swept");
        store.close().await;
    })
    .await;
}
