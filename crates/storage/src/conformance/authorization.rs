//! What the authorization server keeps.

use std::time::Duration;

use trunkline_model::{
    ClientKind, Grant, GrantFlow, GrantId, OauthClient, PreviousSecret, ProfileName, Timestamp, TokenHash,
    TokenTarget, UserId,
};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::Topic;
use crate::authorization::{
    AuthorizationCode, Consent, Device, DeviceState, Poll, RefreshToken, Rotation, SigningKey,
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
const GRACE: Duration = Duration::from_mins(1);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn target() -> TokenTarget {
    TokenTarget::Profile(ProfileName::new("engineering").unwrap())
}

fn user(number: u8) -> UserId {
    UserId::from_uuid(Uuid::from_u128(0x100 + u128::from(number)))
}

fn client(id: &str, kind: ClientKind) -> OauthClient {
    OauthClient {
        id: id.to_owned(),
        kind,
        name: "Ä 'client'".to_owned(),
        metadata: r#"{"redirect_uris":[]}"#.to_owned(),
        secret_hash: Some(TokenHash([1; 32])),
        previous_secret: None,
        secret_at: None,
        registration_hash: None,
        service_user: Some(user(9)),
        registered_from: "127.0.0.1".to_owned(),
        created_at: NOW,
        used_at: None,
        blocked_at: None,
    }
}

fn grant(number: u8, client: &str) -> Grant {
    Grant {
        id: GrantId::from_uuid(Uuid::from_u128(u128::from(number))),
        user: user(number),
        client: client.to_owned(),
        target: target(),
        scope: "mcp".to_owned(),
        flow: GrantFlow::AuthorizationCode,
        created_at: NOW,
        used_at: NOW,
        expires_at: at(1000),
        revoked_at: None,
        revoked_because: None,
    }
}

fn refresh(number: u8, grant: &Grant, parent: Option<u8>, seconds: u64) -> RefreshToken {
    RefreshToken {
        hash: TokenHash([number; 32]),
        grant: grant.id,
        parent: parent.map(|number| TokenHash([number; 32])),
        created_at: at(seconds),
        expires_at: at(900),
        used_at: None,
    }
}

fn code(number: u8, grant: &Grant) -> AuthorizationCode {
    AuthorizationCode {
        hash: TokenHash([number; 32]),
        grant: grant.id,
        user: grant.user,
        client: grant.client.clone(),
        target: grant.target.clone(),
        scope: grant.scope.clone(),
        redirect_uri: "http://localhost:1/cb".to_owned(),
        challenge: "challenge".to_owned(),
        expires_at: at(60),
        used_at: None,
    }
}

#[tokio::test]
async fn the_secret_before_is_known_beside_the_newest() {
    on_both(async |location| {
        let store = store_at(location).await;
        let made = client("a", ClientKind::Registered);
        assert!(store.clients().insert(&made).await.unwrap());
        assert!(store.clients().rotate_secret("a", TokenHash([9; 32]), at(9), at(4)).await.unwrap());
        let rotated = OauthClient {
            secret_hash: Some(TokenHash([9; 32])),
            previous_secret: made.secret_hash.map(|hash| PreviousSecret { hash, until: at(9) }),
            secret_at: Some(at(4)),
            ..made
        };
        assert_eq!(store.clients().find("a").await.unwrap(), Some(rotated));
        assert!(store.clients().block("a", at(5)).await.unwrap());
        assert!(!store.clients().rotate_secret("a", TokenHash([8; 32]), at(9), at(6)).await.unwrap());
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_is_found_changed_blocked_with_its_grants_and_deleted() {
    on_both(async |location| {
        let store = store_at(location).await;
        let clients = store.clients();
        let made = client("a", ClientKind::Dynamic);
        assert!(clients.insert(&made).await.unwrap());
        assert!(!clients.insert(&client("a", ClientKind::Registered)).await.unwrap(), "an id is given once");
        assert_eq!(clients.find("a").await.unwrap(), Some(made.clone()));
        assert_eq!(clients.find("b").await.unwrap(), None);
        assert_eq!(clients.count(ClientKind::Dynamic).await.unwrap(), 1);
        assert_eq!(clients.count(ClientKind::Document).await.unwrap(), 0);

        let changed = OauthClient { name: "other".to_owned(), secret_hash: None, ..made };
        assert!(clients.update(&changed).await.unwrap());
        assert!(!clients.rotate_secret("a", TokenHash([9; 32]), at(9), at(4)).await.unwrap(), "it has none");
        clients.used("a", at(5)).await.unwrap();
        assert_eq!(clients.list().await.unwrap(), [OauthClient { used_at: Some(at(5)), ..changed }]);

        store.grants().insert(&grant(1, "a")).await.unwrap();
        let version = store.changes().version().await.unwrap();
        assert!(clients.block("a", at(6)).await.unwrap());
        assert!(!clients.block("a", at(7)).await.unwrap(), "once");
        assert_eq!(store.changes().since(version).await.unwrap(), [Topic::Grants]);
        let revoked = store.grants().find(grant(1, "a").id).await.unwrap().unwrap();
        assert_eq!((revoked.revoked_at, revoked.is_live(at(7))), (Some(at(6)), false));
        assert!(clients.unblock("a").await.unwrap() && !clients.unblock("a").await.unwrap());

        assert!(clients.delete("a", at(8)).await.unwrap());
        assert!(!clients.delete("a", at(8)).await.unwrap());
        assert_eq!(clients.list().await.unwrap(), []);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_code_is_redeemed_once() {
    on_both(async |location| {
        let store = store_at(location).await;
        let (grant, new) = (grant(1, "a"), refresh(7, &grant(1, "a"), None, 0));
        let code = code(3, &grant);
        store.codes().insert(&code).await.unwrap();
        assert_eq!(store.codes().find(&code.hash).await.unwrap(), Some(code.clone()));
        assert!(store.codes().redeem(&code.hash, &grant, Some(&new)).await.unwrap());
        assert!(!store.codes().redeem(&code.hash, &grant, Some(&new)).await.unwrap(), "once");
        let used = store.codes().find(&code.hash).await.unwrap().unwrap();
        assert_eq!(used.used_at, Some(NOW));
        assert_eq!(store.grants().list().await.unwrap(), std::slice::from_ref(&grant));
        assert_eq!(store.refresh_tokens().find(&new.hash).await.unwrap(), Some(new));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_rotates_repeats_within_grace_and_then_revokes_its_family() {
    on_both(async |location| {
        let store = store_at(location).await;
        let grant = grant(1, "a");
        store.grants().insert(&grant).await.unwrap();
        let tokens = store.refresh_tokens();
        tokens.insert(&refresh(1, &grant, None, 0)).await.unwrap();
        let rotate = async |from: u8, to: u8, seconds: u64| {
            let next = refresh(to, &grant, Some(from), seconds);
            tokens.rotate(&TokenHash([from; 32]), &next, GRACE).await.unwrap()
        };
        assert_eq!(rotate(1, 2, 10).await, Rotation::Rotated);
        assert_eq!(rotate(1, 3, 60).await, Rotation::Repeated, "the answer may have been lost");
        assert_eq!(rotate(3, 4, 65).await, Rotation::Rotated);
        let version = store.changes().version().await.unwrap();
        assert_eq!(rotate(1, 5, 66).await, Rotation::Reused, "its successor has been used");
        assert_eq!(store.changes().since(version).await.unwrap(), [Topic::Grants]);
        assert_eq!(rotate(4, 6, 67).await, Rotation::GrantOver, "the whole family is over");
        assert_eq!(tokens.find(&TokenHash([5; 32])).await.unwrap(), None);
        let over = store.grants().find(grant.id).await.unwrap().unwrap();
        assert_eq!(over.revoked_because.as_deref(), Some("a refresh token was used twice"));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_used_refresh_token_is_not_answered_after_the_grace() {
    on_both(async |location| {
        let store = store_at(location).await;
        let grant = grant(1, "a");
        store.grants().insert(&grant).await.unwrap();
        let tokens = store.refresh_tokens();
        tokens.insert(&refresh(1, &grant, None, 0)).await.unwrap();
        let first = tokens.rotate(&TokenHash([1; 32]), &refresh(2, &grant, Some(1), 10), GRACE).await;
        assert_eq!(first.unwrap(), Rotation::Rotated);
        let late = tokens.rotate(&TokenHash([1; 32]), &refresh(3, &grant, Some(1), 71), GRACE).await;
        assert_eq!(late.unwrap(), Rotation::Reused);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn grants_are_revoked_one_by_one_or_all_of_a_user() {
    on_both(async |location| {
        let store = store_at(location).await;
        let grants = store.grants();
        for number in [1, 2, 3] {
            grants.insert(&Grant { user: user(1), ..grant(number, "a") }).await.unwrap();
        }
        let id = grant(1, "a").id;
        assert!(grants.mark_used(id, at(4)).await.unwrap());
        assert!(grants.revoke(id, at(5), "because").await.unwrap());
        assert!(!grants.revoke(id, at(6), "again").await.unwrap());
        assert!(!grants.mark_used(id, at(7)).await.unwrap(), "nothing is issued any more");
        assert_eq!(grants.revoke_of_user(user(1), at(8), "gone").await.unwrap(), 2);
        assert_eq!(grants.revoked_since(at(8)).await.unwrap().len(), 2);
        assert_eq!(grants.revoked_since(NOW).await.unwrap().len(), 3);
        let revoked = grants.find(id).await.unwrap().unwrap();
        assert_eq!((revoked.revoked_at, revoked.used_at), (Some(at(5)), at(4)));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_standing_grant_is_live_and_of_the_same_kind() {
    on_both(async |location| {
        let store = store_at(location).await;
        let made = Grant { flow: GrantFlow::ClientCredentials, ..grant(1, "a") };
        store.grants().insert(&made).await.unwrap();
        let find = async |client: &str, flow, scope: &str, now| {
            store.grants().standing(user(1), client, &target(), (flow, scope), now).await.unwrap()
        };
        let flow = GrantFlow::ClientCredentials;
        assert_eq!(find("a", flow, "mcp", at(1)).await, Some(made.clone()));
        assert_eq!(find("b", flow, "mcp", at(1)).await, None);
        assert_eq!(find("a", GrantFlow::Assertion, "mcp", at(1)).await, None);
        assert_eq!(find("a", flow, "mcp offline_access", at(1)).await, None);
        assert_eq!(find("a", flow, "mcp", at(1000)).await, None, "expired");
        store.grants().revoke(made.id, at(1), "x").await.unwrap();
        assert_eq!(find("a", flow, "mcp", at(1)).await, None, "revoked");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_consent_is_remembered_for_its_redirect_and_profile() {
    on_both(async |location| {
        let store = store_at(location).await;
        let consent = Consent {
            user: user(1),
            client: "a".to_owned(),
            redirect_uri: "http://localhost/".to_owned(),
            target: target(),
            scope: "mcp".to_owned(),
            given_at: NOW,
        };
        let consents = store.consents();
        consents.remember(&consent).await.unwrap();
        consents.remember(&Consent { scope: "mcp offline_access".to_owned(), ..consent }).await.unwrap();
        let scope =
            async |user, redirect: &str| consents.scope(user, "a", redirect, &target()).await.unwrap();
        assert_eq!(scope(user(1), "http://localhost/").await.as_deref(), Some("mcp offline_access"));
        assert_eq!(scope(user(1), "http://localhost/x").await, None);
        assert_eq!(scope(user(2), "http://localhost/").await, None);
        consents.forget(user(1), "a", &target()).await.unwrap();
        assert_eq!(scope(user(1), "http://localhost/").await, None);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_is_answered_once_and_redeemed_once() {
    on_both(async |location| {
        let store = store_at(location).await;
        let device = Device {
            hash: TokenHash([1; 32]),
            user_code_hash: TokenHash([2; 32]),
            grant: grant(1, "a").id,
            client: "a".to_owned(),
            target: target(),
            scope: "mcp".to_owned(),
            state: DeviceState::Pending,
            expires_at: at(600),
            polled_at: None,
        };
        let devices = store.devices();
        devices.insert(&device).await.unwrap();
        assert!(devices.insert(&Device { hash: TokenHash([3; 32]), ..device.clone() }).await.is_err());
        assert_eq!(devices.count_pending(at(1)).await.unwrap(), 1);
        assert_eq!(devices.find_by_user_code(&device.user_code_hash).await.unwrap(), Some(device.clone()));
        let interval = Duration::from_secs(5);
        assert_eq!(devices.poll(&device, at(1), interval).await.unwrap(), Poll::InTime);
        let polled = devices.find(&device.hash).await.unwrap().unwrap();
        assert_eq!(devices.poll(&polled, at(3), interval).await.unwrap(), Poll::TooSoon);

        assert!(!devices.redeem(&device.hash, &grant(1, "a"), None).await.unwrap(), "nobody allowed it");
        assert!(!devices.decide(&device.user_code_hash, user(1), true, at(600)).await.unwrap(), "expired");
        assert!(devices.decide(&device.user_code_hash, user(1), true, at(9)).await.unwrap());
        assert!(!devices.decide(&device.user_code_hash, user(2), true, at(9)).await.unwrap(), "once");
        let allowed = devices.find(&device.hash).await.unwrap().unwrap();
        assert_eq!(allowed.state, DeviceState::Allowed(user(1)));
        assert!(devices.redeem(&device.hash, &grant(1, "a"), None).await.unwrap());
        assert!(!devices.redeem(&device.hash, &grant(1, "a"), None).await.unwrap(), "once");
        assert_eq!(store.grants().list().await.unwrap().len(), 1);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_signing_keys_of_one_generation_the_first_stays() {
    on_both(async |location| {
        let store = store_at(location).await;
        let key = |generation: i64, kid: &str| SigningKey {
            generation,
            kid: kid.to_owned(),
            public_key: [7; 32],
            sealed: store.vault().seal("test", kid, b"key").unwrap(),
            created_at: NOW,
            active_at: at(1),
        };
        let first = key(1, "a");
        assert!(store.signing_keys().insert(&first).await.unwrap());
        assert!(!store.signing_keys().insert(&key(1, "b")).await.unwrap());
        assert!(store.signing_keys().insert(&key(2, "c")).await.unwrap());
        assert_eq!(store.signing_keys().list().await.unwrap()[0], first);
        store.signing_keys().delete_up_to(1).await.unwrap();
        let left = store.signing_keys().list().await.unwrap();
        assert_eq!(left.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["c"]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_assertion_is_used_up_and_what_is_over_is_swept() {
    on_both(async |location| {
        let store = store_at(location).await;
        let hash = TokenHash([1; 32]);
        assert!(store.used_assertions().use_up(&hash, at(10)).await.unwrap());
        assert!(!store.used_assertions().use_up(&hash, at(10)).await.unwrap());

        for (id, kind) in
            [("d", ClientKind::Dynamic), ("r", ClientKind::Registered), ("u", ClientKind::Dynamic)]
        {
            store.clients().insert(&client(id, kind)).await.unwrap();
        }
        store.clients().used("u", at(50)).await.unwrap();
        store.grants().insert(&grant(1, "a")).await.unwrap();
        store.codes().insert(&code(1, &grant(2, "a"))).await.unwrap();
        let early = store.sweep_authorization(at(5), at(0)).await.unwrap();
        assert_eq!((early.clients, early.other), (0, 0));
        let late = store.sweep_authorization(at(2000), at(40)).await.unwrap();
        assert_eq!((late.clients, late.other), (1, 3), "the assertion, the code, the grant");
        let left: Vec<_> =
            store.clients().list().await.unwrap().into_iter().map(|client| client.id).collect();
        assert_eq!(left, ["r", "u"]);
        store.close().await;
    })
    .await;
}
