use trunkline_model::{BrowserSession, Role, SessionId, Timestamp, TokenHash, User, UserId, UserKind};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::{IssuerSession, KeptIdentity, Saved, Store, Topic, UserChange};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn id(number: u8) -> UserId {
    UserId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn kept(number: u8, version: i64) -> KeptIdentity {
    KeptIdentity { user: id(number), provider: "corp".into(), version, sealed: Some("v1.x.y".into()) }
}

async fn with_users(store: &Store) {
    for number in [1, 2] {
        let user = User {
            id: id(number),
            kind: UserKind::Person,
            login: format!("user-{number}"),
            name: String::new(),
            role: Role::Member,
            created_at: at(1000),
            disabled_at: None,
        };
        store.users().insert(&user).await.unwrap();
    }
}

async fn session(store: &Store, number: u8, issuer_session: Option<&str>) -> SessionId {
    let session = BrowserSession {
        id: SessionId::from_uuid(Uuid::from_u128(u128::from(number))),
        user: id(1),
        method: "corp".into(),
        user_agent: String::new(),
        created_at: at(1000),
        seen_at: at(1000),
        expires_at: at(9000),
        revoked_at: None,
    };
    let issuer = IssuerSession { id: issuer_session.map(Into::into), id_token: None };
    store.browser_sessions().insert(&session, TokenHash([number; 32]), &issuer).await.unwrap();
    session.id
}

#[tokio::test]
async fn an_identity_is_kept_for_one_person_and_provider_and_renewed_by_one_alone() {
    on_both(async |location| {
        let store = store_at(location).await;
        with_users(&store).await;
        let identities = store.kept_identities();
        identities.put(&kept(1, 5), Some("s")).await.unwrap();
        assert!(store.changes().since(0).await.unwrap().contains(&Topic::Identities));
        assert_eq!(identities.find(id(1), "corp").await.unwrap(), Some(kept(1, 5)));
        assert_eq!(identities.find(id(2), "corp").await.unwrap(), None);
        assert_eq!(identities.find(id(1), "other").await.unwrap(), None);

        assert!(identities.lease(&kept(1, 5), "one", at(20), at(10)).await.unwrap());
        assert!(!identities.lease(&kept(1, 5), "two", at(20), at(10)).await.unwrap());
        assert_eq!(identities.save(&kept(1, 5), "two").await.unwrap(), Saved::Superseded);
        identities.release(&kept(1, 5), "two").await.unwrap();
        assert!(!identities.lease(&kept(1, 5), "two", at(20), at(10)).await.unwrap(), "it is not theirs");
        assert_eq!(identities.save(&kept(1, 5), "one").await.unwrap(), Saved::Done);
        assert_eq!(identities.find(id(1), "corp").await.unwrap(), Some(kept(1, 6)));
        assert!(!identities.lease(&kept(1, 5), "two", at(20), at(10)).await.unwrap(), "an old version");
        assert!(identities.lease(&kept(1, 6), "two", at(20), at(10)).await.unwrap());
        identities.release(&kept(1, 6), "two").await.unwrap();
        assert!(identities.lease(&kept(1, 6), "one", at(20), at(10)).await.unwrap());

        // A sign-in stands above whoever renews what was before.
        identities.put(&kept(1, 50), None).await.unwrap();
        assert_eq!(identities.save(&kept(1, 6), "one").await.unwrap(), Saved::Superseded);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_gave_goes_with_its_session_and_its_person() {
    on_both(async |location| {
        let store = store_at(location).await;
        with_users(&store).await;
        let identities = store.kept_identities();
        let (first, second) = (session(&store, 1, Some("s1")).await, session(&store, 2, Some("s2")).await);
        identities.put(&kept(1, 5), Some("s2")).await.unwrap();
        identities.put(&kept(2, 5), Some("s3")).await.unwrap();
        let list = || async {
            let kept = store.kept_identities().list().await.unwrap();
            kept.into_iter().map(|(user, provider, _, usable)| (user, provider, usable)).collect::<Vec<_>>()
        };
        let both = |usable| [(id(1), "corp".to_owned(), usable), (id(2), "corp".to_owned(), true)];
        let versions = || async { store.kept_identities().list().await.unwrap()[0].2 };
        assert_eq!(versions().await, 5);
        identities.empty(id(1), "corp", first).await.unwrap();
        assert_eq!(list().await, both(true), "it came with another sign-in");
        identities.empty(id(1), "corp", second).await.unwrap();
        assert_eq!(list().await, both(false));
        identities.erase_of_session("other", "s2").await.unwrap();
        assert_eq!(list().await.len(), 2, "another provider's");
        identities.erase_of_session("corp", "s2").await.unwrap();
        assert_eq!(list().await, [(id(2), "corp".to_owned(), true)]);

        identities.put(&kept(1, 9), None).await.unwrap();
        identities.erase(id(1), "corp").await.unwrap();
        assert_eq!(list().await.len(), 1);
        identities.put(&kept(1, 9), None).await.unwrap();
        store.browser_sessions().revoke_all_of(id(1), at(2000)).await.unwrap();
        assert_eq!(list().await.len(), 1, "every session of theirs was ended");
        let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
        store.users().change(id(2), disabled, Role::Owner, at(2000)).await.unwrap();
        assert_eq!(list().await, []);
        identities.put(&kept(1, 9), None).await.unwrap();
        store.users().delete(id(1), Role::Owner, at(2000)).await.unwrap();
        assert_eq!(list().await, []);
        store.close().await;
    })
    .await;
}
