//! The pages of connections: a person's list, the beginning of a consent, and
//! where the browser comes back to.

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRef, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use trunkline_model::{ConnectionOwner, ServerName};

use super::connections::Connections;
use super::flow::{Beginning, FlowError, PATIENCE, Returned};
use super::held::Unusable;
use super::steer::ShownConnection;
use crate::login::cookie::only_value;
use crate::login::{Forms, Posted, Sessions, SignedIn};
use crate::page::{Notice, page};

/// What the pages need.
#[derive(Debug, Clone)]
pub struct Pages {
    pub connections: Arc<Connections>,
    pub sessions: Arc<Sessions>,
    pub forms: Forms,
}

impl FromRef<Pages> for Forms {
    fn from_ref(pages: &Pages) -> Self {
        pages.forms.clone()
    }
}

/// The routes for browsers and for authorization servers.
pub fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/connections", get(list))
        .route("/connections/{server}/connect", get(connect))
        .route("/connections/{server}/disconnect", post(disconnect))
        .route("/oauth/upstream/callback", get(callback))
        .route("/oauth/client-metadata.json", get(document))
        .with_state(pages)
}

#[derive(Debug, Template)]
#[template(path = "connections.html")]
struct List {
    token: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    server: String,
    shared: bool,
    state: String,
    detail: String,
    scopes: String,
    last_exchange: String,
    last_error: String,
    connected: bool,
}

impl Row {
    fn of(server: &ServerName, shown: Option<ShownConnection>, shared: bool) -> Self {
        let Some(shown) = shown else {
            return Self {
                server: server.to_string(),
                shared,
                state: "not connected".to_owned(),
                detail: String::new(),
                scopes: String::new(),
                last_exchange: String::new(),
                last_error: String::new(),
                connected: false,
            };
        };
        Self {
            server: server.to_string(),
            shared,
            state: shown.state.replace('_', " "),
            detail: shown.reason.unwrap_or_default(),
            scopes: shown.scopes.join(" "),
            last_exchange: shown.last_exchange.unwrap_or_default(),
            last_error: shown.last_error.unwrap_or_default(),
            connected: true,
        }
    }
}

/// `GET /connections`: what the person who is signed in has connected.
async fn list(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let Some(person) = pages.sessions.signed_in(&headers) else { return sign_in("/connections") };
    let owner = owner(&person);
    let mine = pages.connections.list_of(&owner);
    let mut rows: Vec<_> = mine.into_iter().map(|(server, shown)| Row::of(&server, shown, false)).collect();
    if person.user.role.may_operate() {
        let shared = pages.connections.list_shared();
        rows.extend(shared.into_iter().map(|(server, shown)| Row::of(&server, shown, true)));
    }
    let token = pages.forms.token(&headers);
    let list = page(StatusCode::OK, &List { token: token.text.clone(), rows });
    std::future::ready(token.keep(list)).await
}

#[derive(Debug, Deserialize)]
struct Asked {
    ticket: Option<String>,
    /// Set where a sign-in that was to connect the server leads back to.
    #[serde(default)]
    signed_in: bool,
    /// Set by the page that asks a person who came from elsewhere.
    #[serde(default)]
    go: bool,
}

/// `GET /connections/{server}/connect`: begins a consent of the person who is
/// signed in, or of whom an operator's ticket names.
async fn connect(
    State(pages): State<Pages>,
    Path(server): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Ok(name) = ServerName::new(&server) else { return refused(&FlowError::NoSuchServer(server)) };
    if let Some(provider) = pages.connections.shows_caller_of(&name) {
        return connect_by_sign_in(&pages, &name, &provider, asked.signed_in, &headers).await;
    }
    let begun = match &asked.ticket {
        Some(secret) => match pages.connections.take_invitation(&name, secret).await {
            Ok(owner) => pages.connections.begin(&name, owner, None).await,
            Err(error) => Err(error),
        },
        None => {
            let here = format!("/connections/{name}/connect");
            let Some(person) = pages.sessions.signed_in(&headers) else { return sign_in(&here) };
            let Some(shared) = pages.connections.is_shared(&name) else {
                return refused(&FlowError::NoSuchServer(server));
            };
            if shared && !person.user.role.may_operate() {
                return notice(
                    StatusCode::FORBIDDEN,
                    "An operator connects this server",
                    "One consent serves everybody who uses it. Ask an operator of this hub to connect it.",
                );
            }
            // A page elsewhere could otherwise connect somebody without their knowing.
            if is_from_elsewhere(&headers) && !(asked.go && is_same_origin(&headers)) {
                return asked_first(&name, &here);
            }
            let owner = if shared { ConnectionOwner::shared() } else { owner(&person) };
            pages.connections.begin(&name, owner, Some(person.user.id.to_string())).await
        }
    };
    match begun {
        Ok(beginning) => to_authorization_server(&pages, &beginning),
        Err(error) => {
            tracing::warn!(server = %name, %error, "a consent could not begin");
            refused(&error)
        }
    }
}

/// A server that is shown who calls is connected by signing in, and nothing
/// else is asked: it is what every call does.
async fn connect_by_sign_in(
    pages: &Pages,
    server: &ServerName,
    provider: &str,
    has_signed_in: bool,
    headers: &HeaderMap,
) -> Response {
    let back = format!("/login/issuer/{provider}?next=/connections/{server}/connect%3Fsigned_in%3Dtrue");
    let through_provider = || (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response();
    let Some(person) = pages.sessions.signed_in(headers) else { return through_provider() };
    match pages.connections.connect_by_sign_in(server, &owner(&person)).await {
        Ok(()) => connected(&format!("{server} is connected for {}.", person.user.login)),
        Err(Unusable::NeedsConsent { .. }) if !has_signed_in => through_provider(),
        Err(error) => {
            tracing::warn!(%server, %error, "a server could not be connected by a sign-in");
            let status = match error {
                Unusable::NeedsConsent { .. } | Unusable::NotForCaller { .. } => StatusCode::FORBIDDEN,
                Unusable::Unavailable { .. } => StatusCode::BAD_GATEWAY,
            };
            notice(status, "Not connected", &error.to_string())
        }
    }
}

fn connected(what: &str) -> Response {
    let text = format!("{what} You can close this page and repeat what you were doing.");
    notice(StatusCode::OK, "Connected", &text)
}

fn to_authorization_server(pages: &Pages, beginning: &Beginning) -> Response {
    let secure = if pages.connections.presence.public_url.starts_with("https:") { "; Secure" } else { "" };
    let (name, value) = &beginning.cookie;
    let cookie = format!(
        "{name}={value}; Path=/oauth/upstream/callback; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        PATIENCE.as_secs()
    );
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    let target = HeaderValue::from_str(&beginning.authorization_url);
    let (Ok(target), Ok(cookie)) = (target, HeaderValue::from_str(&cookie)) else {
        return refused(&FlowError::Denied("its URL cannot be opened".to_owned()));
    };
    headers.insert(LOCATION, target);
    headers.insert(SET_COOKIE, cookie);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `GET /oauth/upstream/callback`: the browser comes back.
async fn callback(
    State(pages): State<Pages>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Response {
    let person = pages.sessions.signed_in(&headers).map(|person| person.user.id.to_string());
    let cookie = |name: &str| only_value(&headers, name).map(ToOwned::to_owned);
    match pages.connections.complete(returned, cookie, person.as_deref()).await {
        Ok(server) => connected(&format!("{server} is connected.")),
        Err(error) => {
            tracing::warn!(%error, "a consent was not completed");
            refused(&error)
        }
    }
}

/// `POST /connections/{server}/disconnect`
async fn disconnect(State(pages): State<Pages>, Path(server): Path<String>, posted: Posted) -> Response {
    let Some(person) = pages.sessions.signed_in(&posted.headers) else { return sign_in("/connections") };
    let Ok(name) = ServerName::new(&server) else { return refused(&FlowError::NoSuchServer(server)) };
    let shared = pages.connections.is_shared(&name) == Some(true);
    if shared && !person.user.role.may_operate() {
        return notice(
            StatusCode::FORBIDDEN,
            "Not yours",
            "An operator connects and disconnects this server.",
        );
    }
    let owner = if shared { ConnectionOwner::shared() } else { owner(&person) };
    match pages.connections.disconnect(&name, &owner).await {
        Ok(_) => (StatusCode::SEE_OTHER, [(LOCATION, "/connections")]).into_response(),
        Err(error) => refused(&FlowError::Store(error)),
    }
}

/// `GET /oauth/client-metadata.json`: the hub as a client, for authorization
/// servers (OAuth Client ID Metadata Document).
async fn document(State(pages): State<Pages>) -> Response {
    let document = pages.connections.presence.document();
    std::future::ready(([(CACHE_CONTROL, "max-age=3600")], Json(document)).into_response()).await
}

fn owner(person: &SignedIn) -> ConnectionOwner {
    ConnectionOwner::named(&person.user.id.to_string())
}

fn sign_in(next: &str) -> Response {
    let target = format!("/login?next={next}");
    (StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response()
}

fn asked_first(server: &ServerName, here: &str) -> Response {
    let asked = Notice {
        title: format!("Connect {server}?"),
        text:
            "You came here from another site. Go on only if you want this hub to use the server in your name."
                .to_owned(),
        link: Some(("Connect".to_owned(), format!("{here}?go=true"))),
    };
    page(StatusCode::OK, &asked)
}

fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    let link = Some(("Your connections".to_owned(), "/connections".to_owned()));
    page(status, &Notice { title: title.to_owned(), text: text.to_owned(), link })
}

fn refused(error: &FlowError) -> Response {
    let status = match error {
        FlowError::NoSuchServer(_) | FlowError::BySignIn { .. } => StatusCode::NOT_FOUND,
        FlowError::Unknown | FlowError::Foreign | FlowError::OtherIssuer | FlowError::Denied(_) => {
            StatusCode::BAD_REQUEST
        }
        FlowError::Discovery(_) | FlowError::Unfit(_) | FlowError::Registration(_) | FlowError::Token(_) => {
            StatusCode::BAD_GATEWAY
        }
        FlowError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    notice(status, "Not connected", &error.to_string())
}

fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").and_then(|value| value.to_str().ok())
}

/// Whether a browser says that another site led here (Fetch Metadata).
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    !matches!(fetch_site(headers), None | Some("none" | "same-origin"))
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    matches!(fetch_site(headers), None | Some("same-origin" | "none"))
}
