use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use trunkline_model::{Grant, GrantFlow, ManualClock, ProfileName};

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const SECONDS: i64 = 1_700_000_000;
const ISSUER: &str = "https://hub.example";

struct Fixture {
    directory: TempDir,
    store: Arc<Store>,
    tokens: Arc<Tokens>,
    clock: ManualClock,
}

fn target(name: &str) -> TokenTarget {
    TokenTarget::Profile(ProfileName::new(name).expect("a name"))
}

fn grant_id() -> GrantId {
    GrantId::new([1; 10], NOW)
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::starting_at(NOW);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let store = Store::open_in(directory.path(), Arc::clone(&shared)).await.expect("opened");
    let url = format!("{ISSUER}/").parse().expect("a URL");
    let tokens = Tokens::load(Arc::clone(&store), shared, &url).await.expect("loaded");
    Fixture { directory, store, tokens, clock }
}

impl Fixture {
    fn issue(&self) -> String {
        let wanted = Wanted {
            user: UserId::new([2; 10], NOW),
            client: "client",
            grant: grant_id(),
            target: &target("a"),
            scope: "mcp",
        };
        self.tokens.issue(&wanted).expect("issued")
    }

    fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenFault> {
        self.tokens.verify(token, &target("a"))
    }

    fn kid(&self) -> String {
        self.tokens.public_keys()["keys"][0]["kid"].as_str().expect("a kid").to_owned()
    }

    /// A token of these parts that our own key has signed: only its content is wrong.
    async fn signed(&self, header: &Value, payload: &str) -> String {
        let keys = self.store.signing_keys().list().await.expect("keys");
        let pair = rotation::open(&keys[0], &self.store).expect("opened");
        sign(&pair, &header.to_string(), payload)
    }

    fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.kid() })
    }
}

fn sign(pair: &Ed25519KeyPair, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": "https://hub.example/mcp/a",
        "sub": UserId::new([2; 10], NOW).to_string(),
        "client_id": "client",
        "scope": "mcp",
        "sid": grant_id().to_string(),
        "jti": "x",
        "iat": SECONDS,
        "exp": SECONDS + 600,
    })
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_wants_and_is_good_for_ten_minutes() {
    let fixture = fixture().await;
    let token = fixture.issue();
    let part = |at: usize| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).expect("a part")).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    assert_eq!(part(0), fixture.header());
    let payload = part(1);
    for (name, value) in claims().as_object().expect("an object") {
        if name != "jti" {
            assert_eq!(payload[name], *value, "{name}");
        }
    }
    let verified = fixture.verify(&token).expect("good");
    assert_eq!((&*verified.client, verified.grant), ("client", grant_id()));
    fixture.clock.advance(Duration::from_secs(599));
    assert!(fixture.verify(&token).is_ok());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.verify(&token), Err(TokenFault::Expired));
}

#[tokio::test]
async fn a_header_that_is_not_ours_is_refused_whatever_it_says() {
    let fixture = fixture().await;
    let kid = fixture.kid();
    let payload = claims().to_string();
    let good = fixture.signed(&fixture.header(), &payload).await;
    assert!(fixture.verify(&good).is_ok(), "the fixture signs as the hub does");
    for header in [
        json!({ "typ": "at+jwt", "alg": "none", "kid": kid }),
        json!({ "typ": "at+jwt", "alg": "None", "kid": kid }),
        json!({ "typ": "at+jwt", "alg": "HS256", "kid": kid }),
        json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid }),
        json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid }),
        json!({ "alg": "EdDSA", "kid": kid }),
        json!({ "typ": "at+jwt", "alg": "EdDSA" }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "../../etc/passwd" }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "" }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid, "jku": "https://evil.example/jwks" }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid, "x5u": "https://evil.example/x" }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid, "crit": ["exp"] }),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid, "b64": false }),
    ] {
        let token = fixture.signed(&header, &payload).await;
        assert_eq!(fixture.verify(&token), Err(TokenFault::NotOurs), "{header}");
    }
}

#[tokio::test]
async fn a_token_without_a_signature_or_with_a_foreign_one_is_refused() {
    let fixture = fixture().await;
    let good = fixture.issue();
    let (signed, _) = good.rsplit_once('.').expect("parts");
    for bad in
        [signed.to_owned(), format!("{signed}."), format!("{good}="), format!("{good}.x"), format!(" {good}")]
    {
        assert_eq!(fixture.verify(&bad), Err(TokenFault::NotOurs), "{bad}");
    }
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let foreign = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let header = fixture.header().to_string();
    let forged = sign(&foreign, &header, &claims().to_string());
    assert_eq!(fixture.verify(&forged), Err(TokenFault::NotOurs));
    // The public key taken as the secret of an HMAC.
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, foreign.public_key().as_ref());
    let confused =
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())));
    assert_eq!(fixture.verify(&confused), Err(TokenFault::NotOurs));
}

#[tokio::test]
async fn claims_that_are_not_ours_are_refused_although_signed() {
    let fixture = fixture().await;
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims.to_string()
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        claims.to_string()
    };
    let twice = claims().to_string().replacen('{', "{\"aud\":\"https://hub.example/mcp/b\",", 1);
    let mut cases = vec![
        changed("iss", json!("https://hub.example/")),
        changed("iss", json!("https://evil.example")),
        changed("aud", json!("https://hub.example/mcp/b")),
        changed("aud", json!("https://hub.example/mcp/a/")),
        changed("aud", json!("https://hub.example/mcp/A")),
        changed("aud", json!("https://hub.example")),
        changed("aud", json!(["https://hub.example/mcp/a"])),
        changed("exp", json!("soon")),
        changed("exp", json!(i64::MAX)),
        changed("sub", json!("root")),
        changed("nbf", json!(SECONDS + 60)),
        changed("admin", json!(true)),
        changed("iat", json!(SECONDS + 3600)),
        twice,
        "{}".to_owned(),
        "null".to_owned(),
    ];
    cases.extend(["iss", "aud", "sub", "exp", "sid", "client_id", "scope"].map(without));
    for payload in cases {
        let token = fixture.signed(&fixture.header(), &payload).await;
        assert_eq!(fixture.verify(&token), Err(TokenFault::NotOurs), "{payload}");
    }
    let expired = fixture.signed(&fixture.header(), &changed("exp", json!(SECONDS))).await;
    assert_eq!(fixture.verify(&expired), Err(TokenFault::Expired));
}

#[tokio::test]
async fn a_huge_token_is_not_even_looked_at() {
    let fixture = fixture().await;
    let huge = format!("{}.{}", fixture.issue(), "a".repeat(1_000_000));
    assert_eq!(fixture.verify(&huge), Err(TokenFault::NotOurs));
    assert_eq!(fixture.tokens.cache.len(), 0);
}

#[tokio::test]
async fn a_verified_token_is_kept_and_a_bad_one_is_not() {
    let fixture = fixture().await;
    let token = fixture.issue();
    for _ in 0..3 {
        assert!(fixture.verify(&token).is_ok());
        let _ = fixture.verify(&format!("{token}x"));
    }
    assert_eq!(fixture.tokens.cache.len(), 1);
}

#[tokio::test]
async fn another_processs_revocation_is_seen_and_outlives_the_database() {
    let fixture = fixture().await;
    let token = fixture.issue();
    assert!(fixture.verify(&token).is_ok());
    let clock: Arc<dyn Clock> = Arc::new(fixture.clock.clone());
    let theirs = Store::open_in(fixture.directory.path(), clock).await.expect("opened");
    let grant = Grant {
        id: grant_id(),
        user: UserId::new([2; 10], NOW),
        client: "client".to_owned(),
        target: target("a"),
        scope: "mcp".to_owned(),
        flow: GrantFlow::AuthorizationCode,
        created_at: NOW,
        used_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(1)),
        revoked_at: None,
        revoked_because: None,
    };
    theirs.grants().insert(&grant).await.expect("inserted");
    let tasks = Tasks::new();
    fixture.tokens.follow_changes(&tasks);
    theirs.grants().revoke(grant.id, NOW, "test").await.expect("revoked");
    let seen = async {
        while fixture.verify(&token).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), seen).await.expect("within a second");
    assert_eq!(fixture.verify(&token), Err(TokenFault::Revoked));
    assert!(tasks.stop(Duration::from_secs(5)).await);
    fixture.store.close().await;
    assert_eq!(fixture.verify(&token), Err(TokenFault::Revoked), "without its database too");
}

#[tokio::test]
async fn without_its_database_the_hub_verifies_and_signs() {
    let fixture = fixture().await;
    let before = fixture.issue();
    fixture.store.close().await;
    assert!(fixture.verify(&before).is_ok());
    assert!(fixture.verify(&fixture.issue()).is_ok());
}

#[tokio::test]
async fn keys_rotate_and_old_tokens_stay_good_until_they_expire() {
    let fixture = fixture().await;
    let day = Duration::from_hours(24);
    let rotate = async || {
        rotation::ensure_key(&fixture.store, fixture.clock.now()).await.expect("rotated");
        fixture.tokens.catch_up().await.expect("read");
        fixture.tokens.public_keys()["keys"].as_array().expect("keys").len()
    };
    let first = fixture.kid();
    let kid_of = |token: &str| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a part")).expect("base64");
        serde_json::from_slice::<Value>(&header).expect("JSON")["kid"].as_str().expect("a kid").to_owned()
    };
    fixture.clock.advance(day * 82);
    assert_eq!(rotate().await, 1, "not yet");
    fixture.clock.advance(day);
    assert_eq!(rotate().await, 2, "the next key is there a week before it signs");
    assert_eq!(kid_of(&fixture.issue()), first);
    fixture.clock.advance(day * 6 + Duration::from_mins(23 * 60 + 59));
    let last = fixture.issue();
    fixture.clock.advance(Duration::from_mins(2));
    assert_ne!(kid_of(&fixture.issue()), first);
    assert!(fixture.verify(&last).is_ok(), "what the old key signed is good until it expires");
    fixture.clock.advance(day);
    assert_eq!(rotate().await, 1, "then the old key goes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_token_is_never_good(at in 0_usize..560, to in "[A-Za-z0-9_.-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let fixture = fixture().await;
            let token = fixture.issue();
            let at = at % token.len();
            let changed = format!("{}{}{}", &token[..at], to, &token[at + 1..]);
            // The last character of base64 has bits that say nothing.
            if changed != token && at + 1 < token.len() {
                assert_eq!(fixture.verify(&changed), Err(TokenFault::NotOurs));
            }
        });
    }
}

/// Whatever fails while the keys are read or made: there are none, or those
/// that another process verifies by.
#[tokio::test]
async fn no_failed_statement_or_seal_leaves_a_key_that_nobody_else_has() {
    for seals in [false, true] {
        for number in 1.. {
            let directory = tempfile::tempdir().expect("a directory");
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(NOW));
            let open = || Store::open_in(directory.path(), Arc::clone(&clock));
            let (store, other) = (open().await.expect("opened"), open().await.expect("opened"));
            let url = ISSUER.parse().expect("a URL");
            if seals {
                store.faults().fail_seal(number);
            } else {
                store.faults().fail_statement(number);
            }
            let loaded = Tokens::load(Arc::clone(&store), Arc::clone(&clock), &url).await;
            let seen = store.faults().end();
            if let Ok(tokens) = loaded {
                let user = UserId::new([2; 10], NOW);
                let target = target("a");
                let wanted =
                    Wanted { user, client: "client", grant: grant_id(), target: &target, scope: "mcp" };
                let token = tokens.issue(&wanted).expect("issued");
                let elsewhere = Tokens::load(other, Arc::clone(&clock), &url).await.expect("loaded");
                assert!(elsewhere.verify(&token, &target).is_ok(), "{number}: {seen:?}");
            }
            if seen.failed.is_empty() {
                assert!(number > 1, "something is read, and something sealed");
                break;
            }
        }
    }
}
