use trunkline_model::{
    ApiKey, Connection, ConnectionDetail, ConnectionOwner, ConnectionState, Grant, GrantFlow, GrantId, KeyId,
    ProfileName, Role, ServerName, Timestamp, TokenHash, TokenTarget, User, UserId, UserKind,
};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::{Absence, AbsenceKind, KeptIdentity, Store, Topic};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn profile() -> ProfileName {
    ProfileName::new("team").unwrap()
}

fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(1))
}

async fn with_one_of_each(store: &Store) {
    let account = User {
        id: user(),
        kind: UserKind::Person,
        login: "ann".into(),
        name: String::new(),
        role: Role::Member,
        created_at: at(1),
        disabled_at: None,
    };
    store.users().insert(&account).await.unwrap();
    let connection = Connection {
        server: ServerName::new("tracker").unwrap(),
        owner: ConnectionOwner::shared(),
        version: 1,
        state: ConnectionState::Connected,
        sealed: None,
        detail: ConnectionDetail::default(),
        lease: None,
    };
    store.connections().put(&connection).await.unwrap();
    let key = ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(2)),
        name: "key".into(),
        hash: TokenHash([1; 32]),
        hint: "tlk_abcd".into(),
        profile: profile(),
        owner: None,
        created_at: at(1),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        previous: None,
    };
    store.keys().insert(&key).await.unwrap();
    let grant = Grant {
        id: GrantId::from_uuid(Uuid::from_u128(3)),
        user: user(),
        client: "client".into(),
        target: TokenTarget::Profile(profile()),
        scope: "mcp".into(),
        flow: GrantFlow::AuthorizationCode,
        created_at: at(1),
        used_at: at(1),
        expires_at: at(1_000_000),
        revoked_at: None,
        revoked_because: None,
    };
    store.grants().insert(&grant).await.unwrap();
    let kept = KeptIdentity { user: user(), provider: "corp".into(), version: 1, sealed: None };
    store.kept_identities().put(&kept, None).await.unwrap();
}

#[tokio::test]
async fn what_something_is_kept_for_is_told_until_it_has_ended() {
    on_both(async |location| {
        let store = store_at(location).await;
        let absences = store.absences();
        assert_eq!(absences.kept().await.unwrap(), []);
        with_one_of_each(&store).await;
        let kept = [
            (AbsenceKind::Server, "tracker".to_owned()),
            (AbsenceKind::Profile, "team".to_owned()),
            (AbsenceKind::Provider, "corp".to_owned()),
        ];
        assert_eq!(absences.kept().await.unwrap(), kept);
        assert_eq!(absences.end_profile("other", at(9)).await.unwrap(), 0);
        assert_eq!(absences.end_profile("team", at(9)).await.unwrap(), 2, "a key and a grant");
        assert_eq!(absences.end_profile("team", at(9)).await.unwrap(), 0, "once");
        assert_eq!(absences.end_provider("corp").await.unwrap(), 1);
        assert_eq!(absences.kept().await.unwrap(), kept[..1]);
        let topics = store.changes().since(0).await.unwrap();
        assert!([Topic::Keys, Topic::Grants, Topic::Identities].iter().all(|topic| topics.contains(topic)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_absence_counts_from_when_it_was_first_noted() {
    on_both(async |location| {
        let store = store_at(location).await;
        let absences = store.absences();
        assert!(absences.note(AbsenceKind::Server, "a", at(5)).await.unwrap());
        assert!(!absences.note(AbsenceKind::Server, "a", at(7)).await.unwrap());
        assert!(absences.note(AbsenceKind::Profile, "a", at(7)).await.unwrap());
        let absence = |kind, since| Absence { kind, name: "a".into(), since: at(since) };
        let (profile, server) = (absence(AbsenceKind::Profile, 7), absence(AbsenceKind::Server, 5));
        assert_eq!(absences.list().await.unwrap(), [profile.clone(), server]);
        assert!(absences.forget(AbsenceKind::Server, "a").await.unwrap());
        assert!(!absences.forget(AbsenceKind::Server, "a").await.unwrap(), "once");
        assert_eq!(absences.list().await.unwrap(), [profile]);
        store.close().await;
    })
    .await;
}
