use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use trunkline_model::{
    Clock, ManualClock, OauthClient, ProfileName, Role, Timestamp, TokenTarget, User, UserId, UserKind,
};
use trunkline_storage::Store;
use trunkline_storage::authorization::AuthorizationCode;
use trunkline_web::{Outbound, OutboundPolicy, Tasks};

use crate::login::Sessions;
use crate::server::{
    AssertionIssuer, AuthorizationServer, NewClient, Parts, ProfileAccess, Profiles, Settings, create_client,
};
use crate::{People, Tokens};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const SECONDS: i64 = 1_700_000_000;
const HUB: &str = "https://hub.example";
const RESOURCE: &str = "https://hub.example/mcp/a";

#[derive(Debug)]
struct OneProfile;

impl Profiles for OneProfile {
    fn find(&self, name: &str) -> Option<ProfileAccess> {
        (name == "a").then(|| ProfileAccess {
            name: ProfileName::new("a").expect("a name"),
            members: None,
            scopes: Vec::new(),
        })
    }

    fn all(&self) -> Vec<ProfileName> {
        vec![ProfileName::new("a").expect("a name")]
    }
}

/// A hub that trusts one identity provider, whose key the test holds.
struct Fixture {
    _directory: TempDir,
    server: Arc<AuthorizationServer>,
    clock: ManualClock,
    key: Ed25519KeyPair,
    issuer: String,
    secret: String,
}

async fn fixture() -> Fixture {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let issuer = provider(&key).await;
    let directory = tempfile::tempdir().expect("a directory");
    let manual = ManualClock::starting_at(NOW);
    let clock: Arc<dyn Clock> = Arc::new(manual.clone());
    let store = Store::open_in(directory.path(), Arc::clone(&clock)).await.expect("opened");
    store.users().insert(&ann()).await.expect("inserted");
    let wanted = NewClient {
        id: "app".to_owned(),
        name: "App".to_owned(),
        confidential: true,
        assertions: true,
        ..NewClient::default()
    };
    let (client, secret) = create_client(wanted, &mut StdRng::seed_from_u64(1), NOW).expect("a client");
    store.clients().insert(&client).await.expect("inserted");
    let settings = Settings {
        assertion_issuers: vec![AssertionIssuer {
            issuer: issuer.clone(),
            jwks_uri: format!("{issuer}/jwks"),
            login_claim: Some("email".to_owned()),
        }],
        ..Settings::default()
    };
    let server = server(store, clock, settings).await;
    let secret = secret.expect("a secret").expose().to_owned();
    Fixture { _directory: directory, server, clock: manual, key, issuer, secret }
}

async fn server(store: Arc<Store>, clock: Arc<dyn Clock>, settings: Settings) -> Arc<AuthorizationServer> {
    let public_url: url::Url = HUB.parse().expect("a URL");
    let people = People::load(Arc::clone(&store), Arc::clone(&clock)).await.expect("people");
    let tokens = Tokens::load(Arc::clone(&store), Arc::clone(&clock), &public_url).await.expect("tokens");
    let sessions = Sessions::new(Arc::clone(&store), Arc::clone(&people), Arc::clone(&clock), &public_url);
    let policy = OutboundPolicy::new(["loopback"]).expect("a policy");
    AuthorizationServer::start(Parts {
        store,
        people,
        sessions: Arc::new(sessions),
        tokens,
        profiles: Arc::new(OneProfile),
        outbound: Outbound::new(policy).expect("a client"),
        clock,
        tasks: Tasks::new(),
        base: crate::Base::fixed(&public_url),
        public_url,
        settings,
    })
    .expect("started")
}

fn ann() -> User {
    User {
        id: UserId::new([1; 10], NOW),
        kind: UserKind::Person,
        login: "ann@example.org".to_owned(),
        name: "Ann".to_owned(),
        role: Role::Member,
        created_at: NOW,
        disabled_at: None,
    }
}

/// An identity provider that publishes this key.
async fn provider(key: &Ed25519KeyPair) -> String {
    let keys = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key()), "kid": "k", "alg": "EdDSA" },
    ] });
    let app = Router::new().route("/jwks", axum::routing::get(async move || axum::Json(keys)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = Tasks::new().stop_token();
    tokio::spawn(trunkline_web::serve(listener, app, trunkline_web::Limits::default(), stop));
    format!("http://{address}")
}

impl Fixture {
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "sub": "u1", "email": "ann@example.org", "aud": HUB, "resource": RESOURCE,
            "client_id": "app", "jti": "j1", "iat": SECONDS, "exp": SECONDS + 300, "scope": "mcp",
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(header, &claims.to_string())
    }

    fn sign_text(&self, header: &Value, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(&header.to_string()), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn assertion(&self, claims: &Value) -> String {
        self.sign(&json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "k" }), claims)
    }

    /// Status and body of the token endpoint's answer.
    async fn present(&self, assertion: &str) -> (u16, Value) {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let fields = [("grant_type", grant), ("client_secret", &self.secret), ("assertion", assertion)];
        self.post("/oauth/token", "app", &fields).await
    }

    async fn post(&self, path: &str, client: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client)
            .extend_pairs(fields)
            .finish();
        let request = http::Request::post(path).body(Body::from(body)).expect("a request");
        let answer = self.server.routes_for_clients().oneshot(request).await.expect("infallible");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Tokens of a new grant of the public client `desk`, by a code.
    async fn redeem_code(&self) -> (u16, Value) {
        self.redeem_code_after(Duration::ZERO).await
    }

    /// The same, by a code that was made so long ago.
    async fn redeem_code_after(&self, age: Duration) -> (u16, Value) {
        let wanted = NewClient {
            id: "desk".to_owned(),
            redirect_uris: vec!["http://localhost/cb".to_owned()],
            ..NewClient::default()
        };
        let (client, _) = create_client(wanted, &mut StdRng::seed_from_u64(2), NOW).expect("a client");
        self.server.store.clients().insert(&client).await.expect("inserted");
        let minted = crate::keys::Form::CODE.mint(&mut StdRng::seed_from_u64(3));
        let code = AuthorizationCode {
            hash: minted.hash,
            grant: self.server.new_grant_id(),
            user: ann().id,
            client: "desk".to_owned(),
            target: TokenTarget::Profile(ProfileName::new("a").expect("a name")),
            scope: "mcp".to_owned(),
            redirect_uri: "http://localhost:1/cb".to_owned(),
            challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
            expires_at: self.server.clock.now().plus(Duration::from_mins(1)),
            used_at: None,
        };
        self.server.store.codes().insert(&code).await.expect("inserted");
        self.clock.advance(age);
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let code = minted.key.expose();
        let fields = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)];
        self.post("/oauth/token", "desk", &fields).await
    }

    async fn refresh(&self, token: &Value) -> (u16, Value) {
        let token = token.as_str().expect("a refresh token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/oauth/token", "desk", &fields).await
    }
}

#[tokio::test]
async fn an_assertion_of_a_trusted_provider_is_a_token_of_its_user_once() {
    let fixture = fixture().await;
    let assertion = fixture.assertion(&fixture.claims());
    let (status, body) = fixture.present(&assertion).await;
    assert_eq!(status, 200, "{body}");
    let token = body["access_token"].as_str().expect("a token");
    let profile = ProfileName::new("a").expect("a name");
    let verified = fixture.server.tokens.verify(token, &TokenTarget::Profile(profile)).expect("good");
    assert_eq!((verified.user, verified.client.as_ref()), (ann().id, "app"));
    assert!(body.get("refresh_token").is_none());
    let (status, body) = fixture.present(&assertion).await;
    assert_eq!((status, &body["error_description"]), (400, &json!("the assertion has been used")));
}

#[tokio::test]
async fn an_assertion_that_was_not_made_for_this_is_refused() {
    let fixture = fixture().await;
    let changes: Vec<(&str, Value, &str)> = vec![
        ("aud", json!("https://other.example"), "invalid_grant"),
        ("aud", json!([HUB, "https://other.example"]), "invalid_grant"),
        ("client_id", json!("other"), "invalid_grant"),
        ("iss", json!("https://evil.example"), "invalid_grant"),
        ("email", json!("nobody@example.org"), "invalid_grant"),
        ("exp", json!(SECONDS - 61), "invalid_grant"),
        ("exp", json!(SECONDS + 86_400), "invalid_grant"),
        ("iat", json!(SECONDS + 120), "invalid_grant"),
        ("nbf", json!(SECONDS + 120), "invalid_grant"),
        ("jti", json!(""), "invalid_grant"),
        ("act", json!({ "sub": "admin" }), "invalid_grant"),
        ("resource", json!("https://hub.example/mcp/b"), "invalid_target"),
        ("resource", json!("https://other.example/mcp/a"), "invalid_target"),
        ("scope", json!("something else"), "invalid_scope"),
    ];
    for (at, (name, value, expected)) in changes.into_iter().enumerate() {
        let mut claims = fixture.claims();
        claims["jti"] = json!(format!("j{at}"));
        claims[name] = value.clone();
        let (status, body) = fixture.present(&fixture.assertion(&claims)).await;
        assert_eq!((status, &body["error"]), (400, &json!(expected)), "{name}: {value}");
    }
}

#[tokio::test]
async fn an_assertion_with_another_header_or_key_is_refused() {
    let fixture = fixture().await;
    let mut headers = vec![
        json!({ "typ": "JWT", "alg": "EdDSA", "kid": "k" }),
        json!({ "alg": "EdDSA", "kid": "k" }),
        json!({ "typ": "oauth-id-jag+jwt", "alg": "none", "kid": "k" }),
        json!({ "typ": "oauth-id-jag+jwt", "alg": "HS256", "kid": "k" }),
        json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "another" }),
        json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "k", "jku": "https://evil.example" }),
        json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "k", "crit": ["x"] }),
    ];
    for header in headers.drain(..) {
        let (status, body) = fixture.present(&fixture.sign(&header, &fixture.claims())).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "{header}");
    }
    let header = json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "k" });
    let twice = fixture.claims().to_string().replacen('{', r#"{"email":"eve@example.org","#, 1);
    assert_eq!(fixture.present(&fixture.sign_text(&header, &twice)).await.0, 400, "a claim stands twice");
    let good = fixture.assertion(&fixture.claims());
    let (signed, _) = good.rsplit_once('.').expect("parts");
    for bad in [signed.to_owned(), format!("{signed}."), format!("{signed}.AAAA"), "x".repeat(20_000)] {
        assert_eq!(fixture.present(&bad).await.0, 400);
    }
    fixture.clock.advance(Duration::from_secs(400));
    assert_eq!(fixture.present(&good).await.0, 400, "too late");
}

#[tokio::test]
async fn a_code_is_good_for_a_minute() {
    assert_eq!(fixture().await.redeem_code_after(Duration::from_secs(59)).await.0, 200);
    let (status, body) = fixture().await.redeem_code_after(Duration::from_mins(1)).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
}

impl Fixture {
    /// The answer to a client that proves itself with its key (RFC 7523 section 2.2).
    async fn prove(&self, header: &Value, claims: &Value) -> (u16, Value) {
        let assertion = self.sign(header, claims);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ];
        self.post("/oauth/token", "keyed", &fields).await
    }

    /// A client whose only credential is this fixture's key.
    async fn insert_keyed_client(&self) {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.key.public_key()), "kid": "k",
        });
        let metadata = json!({
            "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [key] },
        });
        let wanted = NewClient {
            id: "keyed".to_owned(),
            confidential: true,
            service_user: Some(ann().id),
            ..NewClient::default()
        };
        let (client, _) = create_client(wanted, &mut StdRng::seed_from_u64(4), NOW).expect("a client");
        let client = OauthClient { metadata: metadata.to_string(), secret_hash: None, ..client };
        self.server.store.clients().insert(&client).await.expect("inserted");
    }
}

#[tokio::test]
async fn a_client_proves_itself_with_its_own_key_once_for_each_assertion() {
    let fixture = fixture().await;
    fixture.insert_keyed_client().await;
    let header = json!({ "alg": "EdDSA", "kid": "k" });
    let claims = |change: (&str, Value)| {
        let mut claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": HUB, "jti": "j1", "iat": SECONDS, "exp": SECONDS + 60,
        });
        claims[change.0] = change.1;
        claims
    };
    let good = claims(("jti", json!("j1")));
    assert_eq!(fixture.prove(&header, &good).await.0, 200);
    assert_eq!(fixture.prove(&header, &good).await.0, 401, "used once");
    let at_endpoint = claims(("aud", json!(format!("{HUB}/oauth/token"))));
    assert_eq!(fixture.prove(&header, &at_endpoint).await.0, 401, "the same id");
    for (name, value) in [
        ("aud", json!("https://other.example")),
        ("aud", json!([HUB, "https://other.example"])),
        ("aud", json!(format!("{HUB}/oauth/tokens"))),
        ("iss", json!("app")),
        ("sub", json!("app")),
        ("exp", json!(SECONDS - 120)),
        ("exp", json!(SECONDS + 3_600)),
    ] {
        let mut wrong = claims((name, value.clone()));
        wrong["jti"] = json!(format!("{name}{value}"));
        let (status, body) = fixture.prove(&header, &wrong).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{name}: {value}");
    }
    let fresh = |id: &str| claims(("jti", json!(id)));
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256", "kid": "k" }),
        json!({ "alg": "EdDSA", "kid": "another" }),
        json!({ "alg": "EdDSA", "kid": "k", "jku": "https://evil.example" }),
    ] {
        assert_eq!(fixture.prove(&header, &fresh(&header.to_string())).await.0, 401, "{header}");
    }
    let fields = [("grant_type", "client_credentials"), ("client_secret", "x")];
    assert_eq!(fixture.post("/oauth/token", "keyed", &fields).await.0, 401, "a secret proves nothing");
    let fields = [("grant_type", "client_credentials")];
    assert_eq!(fixture.post("/oauth/token", "keyed", &fields).await.0, 401);
    assert_eq!(fixture.prove(&header, &fresh("j2")).await.0, 200);
}

#[tokio::test]
async fn a_grant_lives_while_it_is_used_and_ninety_days_at_most() {
    let fixture = fixture().await;
    let (status, mut tokens) = fixture.redeem_code().await;
    assert_eq!(status, 200, "{tokens}");
    for _ in 0..3 {
        fixture.clock.advance(Duration::from_hours(24 * 29));
        let (status, next) = fixture.refresh(&tokens["refresh_token"]).await;
        assert_eq!(status, 200, "{next}");
        tokens = next;
    }
    fixture.clock.advance(Duration::from_hours(24 * 4));
    let (status, body) = fixture.refresh(&tokens["refresh_token"]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "after 91 days");
}

#[tokio::test]
async fn a_refresh_token_that_waited_for_thirty_days_is_over() {
    let fixture = fixture().await;
    let (_, tokens) = fixture.redeem_code().await;
    fixture.clock.advance(Duration::from_hours(24 * 30));
    assert_eq!(fixture.refresh(&tokens["refresh_token"]).await.0, 400);
}

/// The store fails: every endpoint says so, none gives a token or an answer
/// that a client would throw its own away for.
#[tokio::test]
async fn without_its_database_no_endpoint_gives_anything_or_takes_anything_away() {
    let fixture = fixture().await;
    let (_, tokens) = fixture.redeem_code().await;
    let refresh = tokens["refresh_token"].as_str().expect("a token").to_owned();
    fixture.server.store.close().await;
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    for (path, fields) in [
        ("/oauth/token", vec![("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())]),
        ("/oauth/token", vec![("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", "x")]),
        ("/oauth/token", vec![("grant_type", "client_credentials")]),
        ("/oauth/token", vec![("grant_type", device), ("device_code", "x")]),
        ("/oauth/revoke", vec![("token", refresh.as_str())]),
        ("/oauth/introspect", vec![("token", refresh.as_str())]),
        ("/oauth/device", vec![]),
    ] {
        let (status, body) = fixture.post(path, "desk", &fields).await;
        assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")), "{path} {fields:?}");
    }
    let registration = http::Request::post("/oauth/register")
        .body(Body::from(r#"{"redirect_uris":["https://a.example/"]}"#))
        .expect("a request");
    let answer = fixture.server.routes_for_clients().oneshot(registration).await.expect("infallible");
    assert_eq!(answer.status(), 503);
}
