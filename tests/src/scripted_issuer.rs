//! Identity providers that lie on purpose: one server with as many issuers as
//! a test names, each honest but for what is said of it.

mod signer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

pub use signer::Signature;

use signer::Signer;

pub const CLIENT_ID: &str = "trunkline";
pub const CLIENT_SECRET: &str = "a secret of the test, long enough";
/// What the token endpoint gives for userinfo.
pub const ACCESS_TOKEN: &str = "an-access-token-that-nobody-may-see";
/// Who signs in.
pub const SUBJECT: &str = "u-ann";
pub const EMAIL: &str = "ann@example.org";

/// How one issuer differs from an honest one.
#[derive(Debug, Default)]
pub struct Lies {
    /// In place of what these endpoints say.
    pub metadata: Option<Answer>,
    pub keys: Option<Answer>,
    pub token: Option<Answer>,
    pub userinfo: Option<Answer>,
    /// Changes what the metadata says.
    pub says: Option<fn(&mut Value)>,
    /// Changes the header of the ID token.
    pub header: Option<fn(&mut Value)>,
    /// Changes the claims of the ID token.
    pub claims: Option<fn(&mut Value)>,
    /// Changes the text of the claims.
    pub text: Option<fn(&str) -> String>,
    pub signature: Signature,
    /// Changes where the browser is sent back to.
    pub back: Option<fn(&mut Url)>,
}

/// An answer that is not what was asked for.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub location: Option<&'static str>,
    pub body: Content,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Content {
    Text(String),
    /// More than anybody reads.
    Huge,
    /// A byte now and then, without an end.
    Drip,
    /// Nothing, and no end.
    Silence,
}

/// The running server.
#[derive(Debug)]
pub struct ScriptedIssuers {
    base: String,
    issuers: Arc<Issuers>,
}

#[derive(Debug)]
struct Issuers {
    base: String,
    lies: BTreeMap<&'static str, Lies>,
    honest: Lies,
    signer: Signer,
    /// Seconds since 1970.
    now: fn() -> u64,
}

#[derive(Debug, Deserialize)]
struct Asked {
    redirect_uri: Url,
    state: String,
    nonce: String,
}

#[derive(Debug, Deserialize)]
struct Redeemed {
    code: String,
}

impl Answer {
    /// A whole answer with this status and body.
    pub fn new(status: u16, content_type: &'static str, body: &str) -> Self {
        Self { status, content_type, location: None, body: Content::Text(body.to_owned()) }
    }

    /// An answer whose body is no ordinary one.
    pub fn of(body: Content) -> Self {
        Self { status: 200, content_type: "application/json", location: None, body }
    }

    /// A redirect.
    pub fn away(location: &'static str) -> Self {
        Self { status: 307, location: Some(location), ..Self::of(Content::Text(String::new())) }
    }

    fn response(&self) -> Response {
        let body = match &self.body {
            Content::Text(text) => Body::from(text.clone()),
            Content::Huge => Body::from(format!("{{\"x\":\"{}\"}}", "x".repeat(8 * 1024 * 1024))),
            Content::Drip => drip(),
            Content::Silence => {
                Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())
            }
        };
        let mut response = body.into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        response.headers_mut().insert("content-type", http::HeaderValue::from_static(self.content_type));
        if let Some(location) = self.location {
            response.headers_mut().insert("location", http::HeaderValue::from_static(location));
        }
        response
    }
}

fn drip() -> Body {
    Body::from_stream(futures_util::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
    }))
}

impl ScriptedIssuers {
    /// Starts the server. Names that are not in `lies` are honest issuers.
    pub async fn start(lies: BTreeMap<&'static str, Lies>) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let (honest, signer) = (Lies::default(), Signer::new()?);
        let issuers = Arc::new(Issuers { base: base.clone(), lies, honest, signer, now: seconds });
        let app = Router::new()
            .route("/{issuer}/.well-known/openid-configuration", get(metadata))
            .route("/{issuer}/authorize", get(authorize))
            .route("/{issuer}/token", post(token))
            .route("/{issuer}/jwks", get(keys))
            .route("/{issuer}/userinfo", get(userinfo))
            .with_state(Arc::clone(&issuers));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { base, issuers })
    }

    /// The issuer of this name.
    pub fn issuer(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// What the issuers' key signs (ES256), such as an assertion.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.issuers.signer.sign(&header.to_string(), &claims.to_string(), Signature::Own)
    }

    /// The issuers' public key (RFC 7517).
    pub fn key(&self) -> Value {
        self.issuers.signer.published()
    }

    /// What their clock says, in seconds since 1970.
    pub fn now(&self) -> u64 {
        (self.issuers.now)()
    }

    /// `sign_in` of a hub's configuration with these issuers.
    pub fn configuration<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> String {
        let entries = names.into_iter().map(|name| {
            let issuer = self.issuer(name);
            format!(
                "    {name}: {{ issuer: {issuer:?}, client_id: {CLIENT_ID}, client_secret: {CLIENT_SECRET:?} }}\n"
            )
        });
        format!("sign_in:\n  issuers:\n{}", entries.collect::<String>())
    }
}

impl Issuers {
    fn of(&self, name: &str) -> &Lies {
        self.lies.get(name).unwrap_or(&self.honest)
    }

    fn id_token(&self, name: &str, nonce: &str) -> String {
        let (lies, now) = (self.of(name), (self.now)());
        let mut header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
        let mut claims = json!({
            "iss": format!("{}/{name}", self.base), "aud": CLIENT_ID, "sub": SUBJECT, "nonce": nonce,
            "iat": now, "exp": now + 300,
        });
        if let Some(change) = lies.header {
            change(&mut header);
        }
        if let Some(change) = lies.claims {
            change(&mut claims);
        }
        let claims = claims.to_string();
        let claims = lies.text.map_or(claims.clone(), |change| change(&claims));
        self.signer.sign(&header.to_string(), &claims, lies.signature)
    }
}

async fn metadata(State(issuers): State<Arc<Issuers>>, Path(name): Path<String>) -> Response {
    let lies = issuers.of(&name);
    if let Some(answer) = &lies.metadata {
        return answer.response();
    }
    let issuer = format!("{}/{name}", issuers.base);
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "authorization_response_iss_parameter_supported": true,
    });
    if let Some(change) = lies.says {
        change(&mut metadata);
    }
    axum::Json(metadata).into_response()
}

/// Whoever comes is Ann, and is sent back at once. The code is the nonce.
async fn authorize(
    State(issuers): State<Arc<Issuers>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let mut back = asked.redirect_uri;
    let issuer = format!("{}/{name}", issuers.base);
    back.query_pairs_mut()
        .append_pair("code", &asked.nonce)
        .append_pair("state", &asked.state)
        .append_pair("iss", &issuer);
    if let Some(change) = issuers.of(&name).back {
        change(&mut back);
    }
    Redirect::to(back.as_str()).into_response()
}

async fn token(
    State(issuers): State<Arc<Issuers>>,
    Path(name): Path<String>,
    axum::Form(redeemed): axum::Form<Redeemed>,
) -> Response {
    if let Some(answer) = &issuers.of(&name).token {
        return answer.response();
    }
    let id_token = issuers.id_token(&name, &redeemed.code);
    let answer = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token });
    axum::Json(answer).into_response()
}

async fn keys(State(issuers): State<Arc<Issuers>>, Path(name): Path<String>) -> Response {
    match &issuers.of(&name).keys {
        Some(answer) => answer.response(),
        None => axum::Json(json!({ "keys": [issuers.signer.published()] })).into_response(),
    }
}

async fn userinfo(State(issuers): State<Arc<Issuers>>, Path(name): Path<String>) -> Response {
    let claims =
        json!({ "sub": SUBJECT, "email": EMAIL, "email_verified": true, "name": "Ann", "groups": ["eng"] });
    match &issuers.of(&name).userinfo {
        Some(answer) => answer.response(),
        None => axum::Json(claims).into_response(),
    }
}

/// A provider has a clock of its own, as the hub under test has.
#[expect(clippy::disallowed_methods, reason = "the hub under test is a process with the machine's clock")]
fn seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
