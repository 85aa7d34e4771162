use trunkline_model::{BrowserSession, Role, SessionId, Timestamp, TokenHash, User, UserId, UserKind};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::IssuerSession;

fn user(number: u8, login: &str) -> User {
    User {
        id: UserId::from_uuid(Uuid::from_u128(u128::from(number))),
        kind: if number.is_multiple_of(2) { UserKind::Service } else { UserKind::Person },
        login: login.to_owned(),
        name: format!("User {number} 'quoted' ä"),
        role: Role::Operator,
        created_at: Timestamp::from_micros(1000),
        disabled_at: number.is_multiple_of(2).then(|| Timestamp::from_micros(2000)),
    }
}

#[tokio::test]
async fn users_are_listed_as_they_were_added_and_no_two_share_a_login() {
    on_both(async |location| {
        let store = store_at(location).await;
        for one in [user(1, "zoe"), user(2, "ann")] {
            store.users().insert(&one).await.unwrap();
        }
        assert!(store.users().insert(&user(3, "zoe")).await.is_err());
        assert_eq!(store.users().list().await.unwrap(), [user(2, "ann"), user(1, "zoe")], "by login");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_is_live_until_it_ends_or_is_ended() {
    on_both(async |location| {
        let store = store_at(location).await;
        store.users().insert(&user(1, "ann")).await.unwrap();
        let session = |number: u8, end: i64| BrowserSession {
            id: SessionId::from_uuid(Uuid::from_u128(u128::from(number))),
            user: user(1, "ann").id,
            method: "password".into(),
            user_agent: "Firefox".into(),
            created_at: Timestamp::from_micros(1000),
            seen_at: Timestamp::from_micros(1000),
            expires_at: Timestamp::from_micros(end),
            revoked_at: None,
        };
        for (number, end) in [(1, 5000), (2, 9000), (3, 9000)] {
            store
                .browser_sessions()
                .insert(&session(number, end), TokenHash([number; 32]), &IssuerSession::default())
                .await
                .unwrap();
        }
        let at = Timestamp::from_micros(5000);
        assert!(store.browser_sessions().revoke(session(3, 0).id, at).await.unwrap());
        assert!(!store.browser_sessions().revoke(session(3, 0).id, at).await.unwrap(), "once");
        let live = store.browser_sessions().live(at).await.unwrap();
        assert_eq!(live, [(TokenHash([2; 32]), session(2, 9000))]);
        store.close().await;
    })
    .await;
}
