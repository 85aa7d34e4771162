//! `/login`: a name and a password.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use trunkline_model::{User, UserKind};
use trunkline_web::Peer;
use url::form_urlencoded;

use super::attempts::Try;
use super::oidc::Issuer;
use super::{Login, Next, Posted, see_other, unavailable};
use crate::page::{Notice, page};

/// How long a browser is known in which somebody has signed in.
const KNOWN_FOR: Duration = Duration::from_hours(180 * 24);

/// What sign-ins with a password are called.
const METHOD: &str = "password";

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    next: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    token: &'a str,
    next: &'a str,
    login: &'a str,
    fault: Option<String>,
    password: bool,
    /// Of identity providers: where each leads, and what is on it.
    buttons: Vec<(String, String)>,
}

/// `GET /login?next=/local/path`
pub(super) async fn show(
    State(login): State<Arc<Login>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let next = Next::or_home(wanted.next.as_deref());
    let answer = if login.sessions.signed_in(&headers).is_some() {
        see_other(next.location())
    } else {
        form(&login, &headers, &next, StatusCode::OK, "", None)
    };
    std::future::ready(answer).await
}

/// `POST /login`
pub(super) async fn sign_in(State(login): State<Arc<Login>>, peer: Peer, posted: Posted) -> Response {
    if !login.ways.load().password {
        return no_passwords();
    }
    let next = Next::or_home(posted.field("next"));
    let typed = posted.text("login").unwrap_or_default();
    let again = |status, fault| form(&login, &posted.headers, &next, status, typed, Some(fault));
    let name = User::login_from(typed).unwrap_or_default();
    let known = login.known_browser.value(&posted.headers).filter(|seal| login.knows(&name, seal));
    let address = match peer {
        Peer::Tcp(address) => Some(address.ip()),
        Peer::Local => None,
    };
    let attempt = Try { login: &name, address, known_browser: known };
    if let Err(wait) = login.attempts.begin(attempt, login.now()) {
        tracing::warn!(login = %name, ?peer, "too many attempts to sign in");
        let seconds = wait.as_secs() + 1;
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, too_many(seconds));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    match login.check_password(&name, posted.field("password").unwrap_or_default()).await {
        Ok(Some(user)) => {
            login.attempts.succeeded(attempt);
            login.begin_session(&user, &posted.headers, &next).await
        }
        Ok(None) => {
            tracing::info!(login = %name, ?peer, "a sign-in was refused");
            again(StatusCode::UNAUTHORIZED, "That name and password do not belong together.".to_owned())
        }
        Err(response) => {
            login.attempts.withdrawn(attempt);
            response
        }
    }
}

fn no_passwords() -> Response {
    let notice = Notice {
        title: "Nobody signs in with a password here".to_owned(),
        text: "The operator of this hub has turned passwords off.".to_owned(),
        link: Some(("Sign in".to_owned(), "/login".to_owned())),
    };
    page(StatusCode::FORBIDDEN, &notice)
}

fn too_many(seconds: u64) -> String {
    format!(
        "Too many attempts. Try again in {seconds} seconds. An administrator can make a sign-in link with \
         `trunkline login link`."
    )
}

impl Login {
    /// Who has this login and password; unknown logins, people without a
    /// password and disabled ones are told apart by nothing.
    async fn check_password(&self, login: &str, password: &str) -> Result<Option<User>, Response> {
        let found = self.store.users().password_of(login).await.map_err(unavailable)?;
        let (user, hash) = found.unzip();
        let is_right = self.passwords.is_right(password, hash).await;
        let may_sign_in = |user: &User| user.kind == UserKind::Person && user.disabled_at.is_none();
        Ok(user.filter(|user| is_right && may_sign_in(user)))
    }

    /// Begins a session and sends the browser on.
    async fn begin_session(&self, user: &User, headers: &HeaderMap, next: &Next) -> Response {
        match self.sessions.sign_in(user, METHOD, headers).await {
            Ok(cookie) => {
                let mut response = next.go_on();
                response.headers_mut().append(header::SET_COOKIE, cookie);
                self.remember_browser(user, &mut response);
                response
            }
            Err(error) => unavailable(error),
        }
    }

    /// Lets this browser try the user's password whatever strangers do.
    pub(super) fn remember_browser(&self, user: &User, response: &mut Response) {
        if let Ok(seal) = self.known_browser_sealer.seal(&user.login, b"known") {
            let cookie = self.known_browser.set(&seal.to_string(), KNOWN_FOR);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }

    fn knows(&self, login: &str, seal: &str) -> bool {
        seal.parse().is_ok_and(|seal| self.known_browser_sealer.open(login, &seal).is_ok())
    }
}

fn form(
    login: &Login,
    headers: &HeaderMap,
    next: &Next,
    status: StatusCode,
    typed: &str,
    fault: Option<String>,
) -> Response {
    let token = login.forms.token(headers);
    let ways = login.ways.load();
    let query: String = form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect();
    let button = |issuer: &Arc<Issuer>| {
        let target = format!("/login/issuer/{}?next={query}", issuer.settings.name);
        (target, issuer.settings.shown().to_owned())
    };
    let shown = SignInPage {
        token: &token.text,
        next: next.as_str(),
        login: typed,
        fault,
        password: ways.password,
        buttons: ways.issuers.iter().map(button).collect(),
    };
    let response = page(status, &shown).into_response();
    token.keep(response)
}

#[cfg(test)]
mod tests;
