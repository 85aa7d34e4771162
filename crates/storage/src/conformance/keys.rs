use trunkline_model::{ApiKey, KeyId, ProfileName, Timestamp, TokenHash};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::StoreError;

fn key(number: u8) -> ApiKey {
    ApiKey {
        id: KeyId::from_uuid(Uuid::from_u128(u128::from(number))),
        name: format!("key {number} 'quoted' ä"),
        hash: TokenHash([number; 32]),
        hint: "tlk_abcd".into(),
        profile: ProfileName::new("engineering").unwrap(),
        owner: None,
        created_at: Timestamp::from_micros(1000 - i64::from(number)),
        expires_at: number.is_multiple_of(2).then(|| Timestamp::from_micros(i64::MAX)),
        revoked_at: None,
        last_used_at: None,
        previous: None,
    }
}

#[tokio::test]
async fn a_key_is_found_as_it_was_inserted_and_revoked_once() {
    on_both(async |location| {
        let store = store_at(location).await;
        assert_eq!(store.keys().list().await.unwrap(), []);
        for number in [1, 2, 3] {
            store.keys().insert(&key(number)).await.unwrap();
        }
        assert_eq!(store.keys().list().await.unwrap(), [key(3), key(2), key(1)], "oldest first");
        assert_eq!(store.keys().find(key(2).id).await.unwrap(), Some(key(2)));
        assert_eq!(store.keys().find(key(9).id).await.unwrap(), None);

        let now = Timestamp::from_micros(5000);
        assert!(store.keys().revoke(key(2).id, now).await.unwrap());
        assert!(!store.keys().revoke(key(2).id, Timestamp::from_micros(6000)).await.unwrap(), "once");
        assert!(!store.keys().revoke(key(9).id, now).await.unwrap(), "no such key");
        let revoked = store.keys().find(key(2).id).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(now), "the first time stays");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn two_keys_never_share_a_hash_or_an_id() {
    on_both(async |location| {
        let store = store_at(location).await;
        store.keys().insert(&key(1)).await.unwrap();
        let same_hash = ApiKey { hash: TokenHash([1; 32]), ..key(2) };
        let same_id = ApiKey { hash: TokenHash([2; 32]), ..key(1) };
        for twin in [same_hash, same_id] {
            let error = store.keys().insert(&twin).await.unwrap_err();
            assert!(matches!(error, StoreError::Database { operation: "add an API key", .. }), "{error}");
        }
        assert_eq!(store.keys().list().await.unwrap(), [key(1)]);
        assert_eq!(store.changes().version().await.unwrap(), 1, "a failed change is no change");
        store.close().await;
    })
    .await;
}
