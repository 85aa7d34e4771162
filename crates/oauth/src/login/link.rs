//! `/login/link/{link}`: an administrator has made somebody a link that signs
//! them in, once. Opening it changes nothing, since mail scanners open links.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use trunkline_model::{TokenHash, User};
use trunkline_storage::LinkFor;

use super::{Login, Posted, see_other, unavailable};
use crate::keys::Form;
use crate::page::{Notice, page};

/// What sign-ins with a link are called.
const METHOD: &str = "link";

#[derive(Debug, Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    token: &'a str,
    login: &'a str,
    with_password: bool,
    fault: Option<String>,
}

/// `GET /login/link/{link}`
pub(super) async fn show(
    State(login): State<Arc<Login>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    match login.open_link(&link).await {
        Ok((_, user)) => form(&login, &headers, StatusCode::OK, &user, None),
        Err(response) => response,
    }
}

/// `POST /login/link/{link}`: signs in, and sets a password if one is given.
pub(super) async fn follow(
    State(login): State<Arc<Login>>,
    Path(link): Path<String>,
    posted: Posted,
) -> Response {
    let (hash, user) = match login.open_link(&link).await {
        Ok(opened) => opened,
        Err(response) => return response,
    };
    let field = |name| posted.field(name).unwrap_or_default();
    let password = match field("password") {
        "" => None,
        chosen => match login.passwords.chosen(chosen, field("again")).await {
            Ok(hash) => Some(hash),
            Err(fault) => {
                return form(
                    &login,
                    &posted.headers,
                    StatusCode::BAD_REQUEST,
                    &user,
                    Some(fault.to_string()),
                );
            }
        },
    };
    match login.use_link(hash, &user, password, &posted.headers).await {
        Ok(response) | Err(response) => response,
    }
}

impl Login {
    async fn open_link(&self, link: &str) -> Result<(TokenHash, User), Response> {
        let hash = Form::LINK.hash_if_well_formed(link).ok_or_else(too_late)?;
        let found = self.store.sign_in_links().find(hash, self.now()).await.map_err(unavailable)?;
        let Some(LinkFor::User(id)) = found else { return Err(too_late()) };
        let user = self.store.users().find(id).await.map_err(unavailable)?;
        let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(too_late)?;
        Ok((hash, user))
    }

    async fn use_link(
        &self,
        hash: TokenHash,
        user: &User,
        password: Option<String>,
        headers: &HeaderMap,
    ) -> Result<Response, Response> {
        let begun = self.sessions.begin(user, METHOD, headers).await.map_err(unavailable)?;
        let links = self.store.sign_in_links();
        if !links.follow(hash, password.as_deref(), begun.new_session()).await.map_err(unavailable)? {
            return Err(too_late());
        }
        let cookie = self.sessions.let_in(&begun).await;
        let mut response = see_other(HeaderValue::from_static("/account"));
        response.headers_mut().append(header::SET_COOKIE, cookie);
        self.remember_browser(user, &mut response);
        Ok(response)
    }
}

fn form(
    login: &Login,
    headers: &HeaderMap,
    status: StatusCode,
    user: &User,
    fault: Option<String>,
) -> Response {
    let token = login.forms.token(headers);
    let shown = LinkPage { token: &token.text, login: &user.login, with_password: true, fault };
    let response = page(status, &shown);
    token.keep(response)
}

fn too_late() -> Response {
    let notice = Notice {
        title: "This link opens nothing".to_owned(),
        text: "It was used, is too old, or is not whole. Ask an administrator of this hub for a new one."
            .to_owned(),
        link: Some(("Sign in".to_owned(), "/login".to_owned())),
    };
    page(StatusCode::NOT_FOUND, &notice)
}
