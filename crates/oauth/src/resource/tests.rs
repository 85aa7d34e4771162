use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use trunkline_model::{ManualClock, Secret, Timestamp};

use super::key_ring::Keys;
use super::*;
use crate::mirror::{Asked, Origin};

/// Keys that a test holds, on a database that fails when told to.
#[derive(Debug, Default)]
struct Scripted {
    keys: Mutex<Vec<ApiKey>>,
    away: Mutex<bool>,
    asked: AtomicUsize,
}

impl Scripted {
    fn answer<T: Send + 'static>(&self, value: T) -> Asked<'_, T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let away = *self.away.lock().expect("not poisoned");
        let damaged = StoreError::Damaged { what: "a key", detail: "scripted".to_owned() };
        Box::pin(std::future::ready(if away { Err(damaged) } else { Ok(value) }))
    }

    fn add(&self, key: ApiKey) {
        self.keys.lock().expect("not poisoned").push(key);
    }

    fn set_away(&self, away: bool) {
        *self.away.lock().expect("not poisoned") = away;
    }
}

impl Origin<Keys> for Arc<Scripted> {
    fn what(&self) -> &'static str {
        "keys"
    }

    fn version(&self) -> Asked<'_, i64> {
        let version = self.keys.lock().expect("not poisoned").len();
        self.answer(i64::try_from(version).expect("few"))
    }

    fn changed_since(&self, _version: i64) -> Asked<'_, bool> {
        self.answer(true)
    }

    fn read(&self) -> Asked<'_, Keys> {
        let keys = self.keys.lock().expect("not poisoned").clone();
        self.answer(Keys::new(keys))
    }

    fn wait_past(&self, _version: i64) -> std::pin::Pin<Box<dyn Future<Output = i64> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn profile(name: &str) -> ProfileName {
    ProfileName::new(name).expect("a name")
}

/// A key for profile `a`, the same for the same seed.
fn key(seed: u64) -> (Secret, ApiKey) {
    let mut random = StdRng::seed_from_u64(seed);
    let minted = keys::mint(&mut random);
    let key = ApiKey {
        id: keys::mint_id(&mut random, NOW),
        name: format!("key {seed}"),
        hash: minted.hash,
        hint: minted.hint,
        profile: profile("a"),
        owner: None,
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
        previous: None,
        revoked_at: None,
    };
    (minted.key, key)
}

fn bearer(key: &Secret) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {}", key.expose()))])
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, value.parse().expect("a value"));
    }
    map
}

struct Fixture {
    _directory: TempDir,
    source: Arc<Scripted>,
    clock: ManualClock,
    resource: Resource,
}

async fn fixture(known: Vec<ApiKey>) -> Fixture {
    let source = Arc::new(Scripted { keys: Mutex::new(known), ..Scripted::default() });
    let clock = ManualClock::starting_at(NOW);
    let keys = KeyRing::load(Arc::clone(&source), Arc::new(clock.clone())).await.expect("loaded");
    let people = Arc::new(People::nobody(Arc::new(clock.clone())).await);
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open_in(directory.path(), Arc::new(clock.clone())).await.expect("opened");
    let tokens = tokens(&store, &clock).await;
    Fixture {
        _directory: directory,
        source,
        resource: Resource { keys, people, tokens, clock: Arc::new(clock.clone()) },
        clock,
    }
}

impl Fixture {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        self.resource.authenticate(headers, &profile("a"), everyone(ProfileAuth::ApiKey)).await
    }

    fn asked(&self) -> usize {
        self.source.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_key_is_its_caller_in_either_header() {
    let (secret, known) = key(1);
    let id = known.id;
    let fixture = fixture(vec![known]).await;
    let text = secret.expose();
    let before = fixture.asked();
    for good in [
        vec![("authorization", format!("Bearer {text}"))],
        vec![("authorization", format!("bearer  {text}"))],
        vec![("x-api-key", text.to_owned())],
        vec![("x-api-key", text.to_owned()), ("authorization", format!("Bearer {text}"))],
    ] {
        let pairs: Vec<_> = good.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let caller = fixture.authenticate(&headers(&pairs)).await.expect("let in");
        assert_eq!(*caller.principal(), Principal::Key { id, name: "key 1".into(), owner: None });
        assert_eq!(*caller.profile(), profile("a"));
    }
    assert_eq!(fixture.asked(), before, "a known key costs no trip to the database");
}

#[tokio::test]
async fn each_refusal_says_what_is_the_matter() {
    let (good, known) = key(1);
    let (expired, mut expiring) = key(2);
    let (revoked, mut dead) = key(3);
    let (unknown, _) = key(4);
    expiring.expires_at = Some(NOW.plus(Duration::from_secs(1)));
    dead.revoked_at = Some(NOW);
    let fixture = fixture(vec![known, expiring, dead]).await;
    assert!(fixture.authenticate(&bearer(&expired)).await.is_ok(), "not yet");
    fixture.clock.advance(Duration::from_secs(1));
    let text = good.expose();
    let bearer_text = format!("Bearer {text}");
    let cases = [
        (headers(&[]), Refused::Missing),
        (bearer(&expired), Refused::Expired),
        (bearer(&revoked), Refused::Revoked),
        (bearer(&unknown), Refused::Unknown),
        (headers(&[("authorization", text)]), Refused::Malformed),
        (headers(&[("authorization", "Bearer")]), Refused::Malformed),
        (headers(&[("authorization", "Bearer ")]), Refused::Malformed),
        (headers(&[("authorization", &format!("Basic {text}"))]), Refused::Malformed),
        (headers(&[("authorization", &format!("{bearer_text} x"))]), Refused::Malformed),
        (headers(&[("x-api-key", "")]), Refused::Malformed),
        (headers(&[("authorization", &bearer_text), ("authorization", &bearer_text)]), Refused::Ambiguous),
        (headers(&[("authorization", &bearer_text), ("x-api-key", unknown.expose())]), Refused::Ambiguous),
        (headers(&[("x-api-key", text), ("x-api-key", text)]), Refused::Ambiguous),
    ];
    for (headers, refused) in cases {
        assert_eq!(fixture.authenticate(&headers).await, Err(refused), "{headers:?}");
    }
    let elsewhere =
        fixture.resource.authenticate(&bearer(&good), &profile("b"), everyone(ProfileAuth::ApiKey)).await;
    assert_eq!(elsewhere, Err(Refused::OtherProfile));
}

#[tokio::test]
async fn without_auth_nobody_is_asked_and_a_wrong_key_is_still_refused() {
    let (good, known) = key(1);
    let fixture = fixture(vec![known]).await;
    let ask = async |headers: HeaderMap| {
        fixture.resource.authenticate(&headers, &profile("a"), everyone(ProfileAuth::None)).await
    };
    let anonymous = ask(HeaderMap::new()).await.expect("let in");
    assert_eq!(*anonymous.principal(), Principal::Anonymous);
    assert!(matches!(ask(bearer(&good)).await.expect("let in").principal(), Principal::Key { .. }));
    assert_eq!(ask(bearer(&key(2).0)).await, Err(Refused::Unknown));
    assert_eq!(ask(headers(&[("x-api-key", "junk")])).await, Err(Refused::Malformed));
}

#[tokio::test]
async fn a_key_made_a_moment_ago_works_at_once() {
    let fixture = fixture(vec![]).await;
    let (secret, new) = key(1);
    fixture.source.add(new);
    assert!(fixture.authenticate(&bearer(&secret)).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_invented_keys_does_not_reach_the_database() {
    let fixture = fixture(vec![]).await;
    let before = fixture.asked();
    for seed in 0..1000 {
        assert_eq!(fixture.authenticate(&bearer(&key(seed).0)).await, Err(Refused::Unknown));
    }
    assert!(fixture.asked() - before <= 20, "{}", fixture.asked());
    let before = fixture.asked();
    for _ in 0..1000 {
        let junk = headers(&[("authorization", "Bearer tlk_invented")]);
        assert_eq!(fixture.authenticate(&junk).await, Err(Refused::Malformed));
    }
    assert_eq!(fixture.asked(), before, "what has not the form of a key is never looked up");
}

#[tokio::test]
async fn without_its_database_memory_stays_and_nothing_else_is_let_in() {
    let (secret, known) = key(1);
    let fixture = fixture(vec![known]).await;
    let (new_secret, new) = key(2);
    fixture.source.add(new);
    fixture.source.set_away(true);
    assert!(fixture.authenticate(&bearer(&secret)).await.is_ok());
    assert_eq!(fixture.authenticate(&bearer(&new_secret)).await, Err(Refused::Unavailable));
    fixture.source.set_away(false);
    assert!(fixture.authenticate(&bearer(&new_secret)).await.is_ok());
}

#[tokio::test]
async fn keys_that_cannot_be_read_at_the_start_are_an_error() {
    let source = Arc::new(Scripted::default());
    source.set_away(true);
    let clock = Arc::new(ManualClock::starting_at(NOW));
    assert!(KeyRing::load(source, clock).await.is_err());
}

/// A real database that two processes would share.
async fn shared_store() -> (TempDir, Arc<Store>, Arc<Store>) {
    let directory = tempfile::tempdir().expect("a directory");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(NOW));
    let ours = Store::open_in(directory.path(), Arc::clone(&clock)).await.expect("opened");
    let theirs = Store::open_in(directory.path(), clock).await.expect("opened");
    (directory, ours, theirs)
}

async fn resource(store: Arc<Store>, clock: Arc<ManualClock>) -> Arc<Resource> {
    let people =
        People::load(Arc::clone(&store), Arc::clone(&clock) as Arc<dyn Clock>).await.expect("loaded");
    let tokens = tokens(&store, &clock).await;
    Resource::load(store, people, tokens, clock).await.expect("loaded")
}

async fn tokens(store: &Arc<Store>, clock: &ManualClock) -> Arc<Tokens> {
    let url = "https://hub.example".parse().expect("a URL");
    Tokens::load(Arc::clone(store), Arc::new(clock.clone()), &url).await.expect("loaded")
}

/// Whoever can sign in may use a profile.
fn everyone(auth: ProfileAuth) -> Access<'static> {
    Access { auth, members: None }
}

#[tokio::test]
async fn another_processs_new_key_works_at_once_and_its_revocation_within_a_second() {
    let (_directory, ours, theirs) = shared_store().await;
    let clock = Arc::new(ManualClock::starting_at(NOW));
    let resource = resource(ours, clock).await;
    let (secret, new) = key(1);
    theirs.keys().insert(&new).await.expect("inserted");
    let profile = profile("a");
    let headers = bearer(&secret);
    let ask = async || resource.authenticate(&headers, &profile, everyone(ProfileAuth::Oauth)).await;
    assert!(ask().await.is_ok(), "looked up, since nobody follows changes yet");

    let tasks = Tasks::new();
    resource.follow_changes(&tasks);
    theirs.keys().revoke(new.id, NOW).await.expect("revoked");
    let revoked = async {
        while ask().await.is_ok() {
            tokio::task::yield_now().await;
        }
        ask().await
    };
    let outcome = tokio::time::timeout(Duration::from_secs(1), revoked).await.expect("within a second");
    assert_eq!(outcome, Err(Refused::Revoked));
    assert!(tasks.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_closed_database_lets_in_who_is_known_and_nobody_else() {
    let (_directory, ours, _theirs) = shared_store().await;
    let (secret, new) = key(1);
    ours.keys().insert(&new).await.expect("inserted");
    let clock = Arc::new(ManualClock::starting_at(NOW));
    let resource = resource(Arc::clone(&ours), clock).await;
    ours.close().await;
    let ask = async |secret: &Secret| {
        resource.authenticate(&bearer(secret), &profile("a"), everyone(ProfileAuth::ApiKey)).await
    };
    assert!(ask(&secret).await.is_ok());
    assert_eq!(ask(&key(2).0).await, Err(Refused::Unavailable));
}

/// A header value: junk, a key or something like one.
fn a_value() -> impl Strategy<Value = Vec<u8>> {
    let a_key = (0_u64..6).prop_map(|seed| key(seed).0.expose().to_owned());
    prop_oneof![
        a_key.clone().prop_map(|key| format!("Bearer {key}").into_bytes()),
        a_key.clone().prop_map(String::into_bytes),
        (a_key, 0_usize..60)
            .prop_map(|(key, at)| format!("Bearer {}", &key[..at.min(key.len())]).into_bytes()),
        "(Bearer|Basic|bearer)? ?[ -~]{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    /// Keys 0 and 1 are known and live, 2 is revoked, 3 expired, 4 of another
    /// profile, 5 unknown: whatever is sent, and whether or not the database
    /// answers, only 0 and 1 are let in, each alone and as itself.
    #[test]
    fn no_error_path_yields_an_identity(
        values in proptest::collection::vec((any::<bool>(), a_value()), 0..4),
        away: bool,
        oauth: bool,
    ) {
        let mut known: Vec<_> = (0..5).map(|seed| key(seed).1).collect();
        known[2].revoked_at = Some(NOW);
        known[3].expires_at = Some(NOW);
        known[4].profile = profile("b");
        let mut headers = HeaderMap::new();
        for (in_authorization, value) in &values {
            let name = if *in_authorization { "authorization" } else { "x-api-key" };
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(name, value);
            }
        }
        let auth = if oauth { ProfileAuth::Oauth } else { ProfileAuth::ApiKey };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let outcome = runtime.block_on(async {
            let fixture = fixture(known.clone()).await;
            fixture.source.set_away(away);
            fixture.resource.authenticate(&headers, &profile("a"), everyone(auth)).await
        });
        if let Ok(caller) = outcome {
            let sent: Vec<&[u8]> = headers.values().map(|value| {
                let bytes = value.as_bytes();
                if bytes.len() > 7 && bytes[..7].eq_ignore_ascii_case(b"bearer ") { &bytes[7..] } else { bytes }
            }).collect();
            let own = (0..2).find(|seed| sent.iter().all(|bytes| *bytes == key(*seed).0.expose().as_bytes()));
            prop_assert!(own.is_some() && !sent.is_empty(), "{:?} let in by {:?}", caller, headers);
            let expected = &known[usize::try_from(own.unwrap_or(9)).expect("small")];
            let principal = Principal::Key { id: expected.id, name: expected.name.as_str().into(), owner: None };
            prop_assert_eq!(caller.principal(), &principal);
        }
    }
}
