//! `/setup/{link}`: the first owner makes their account.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use trunkline_model::{Role, TokenHash, User};
use trunkline_storage::LinkFor;

use super::{Login, Posted, new_person, see_other, unavailable};
use crate::keys::Form;
use crate::page::{Notice, page};

#[derive(Debug, Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    token: &'a str,
    login: &'a str,
    name: &'a str,
    fault: Option<String>,
}

/// `GET /setup/{link}`
pub(super) async fn show(
    State(login): State<Arc<Login>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    match login.open_setup_link(&link).await {
        Ok(_) => form(&login, &headers, StatusCode::OK, ("", ""), None),
        Err(response) => response,
    }
}

/// `POST /setup/{link}`
pub(super) async fn finish(
    State(login): State<Arc<Login>>,
    Path(link): Path<String>,
    posted: Posted,
) -> Response {
    let hash = match login.open_setup_link(&link).await {
        Ok(hash) => hash,
        Err(response) => return response,
    };
    let typed = (posted.text("login").unwrap_or_default(), posted.text("name").unwrap_or_default());
    let again = |fault: String| form(&login, &posted.headers, StatusCode::BAD_REQUEST, typed, Some(fault));
    let Some(name) = User::login_from(typed.0) else {
        return again(
            "A sign-in name has 1 to 200 characters and no blanks; an e-mail address will do.".to_owned(),
        );
    };
    let field = |name| posted.field(name).unwrap_or_default();
    let password = match login.passwords.chosen(field("password"), field("again")).await {
        Ok(password) => password,
        Err(fault) => return again(fault.to_string()),
    };
    let owner = new_person(name, typed.1.to_owned(), Role::Owner, login.now());
    let begun = match login.sessions.begin(&owner, "password", &posted.headers).await {
        Ok(begun) => begun,
        Err(error) => return unavailable(error),
    };
    let links = login.store.sign_in_links();
    match links.become_first_owner(hash, &owner, &password, begun.new_session()).await {
        Ok(true) => {}
        Ok(false) => return too_late(),
        Err(error) => return unavailable(error),
    }
    tracing::info!(login = %owner.login, "the first owner has made their account");
    let mut response = see_other(HeaderValue::from_static("/account"));
    response.headers_mut().append(header::SET_COOKIE, login.sessions.let_in(&begun).await);
    login.remember_browser(&owner, &mut response);
    response
}

impl Login {
    async fn open_setup_link(&self, link: &str) -> Result<TokenHash, Response> {
        let hash = Form::LINK.hash_if_well_formed(link).ok_or_else(too_late)?;
        let found = self.store.sign_in_links().find(hash, self.now()).await.map_err(unavailable)?;
        if found == Some(LinkFor::FirstOwner) { Ok(hash) } else { Err(too_late()) }
    }
}

fn form(
    login: &Login,
    headers: &HeaderMap,
    status: StatusCode,
    (typed, name): (&str, &str),
    fault: Option<String>,
) -> Response {
    let token = login.forms.token(headers);
    let response = page(status, &SetupPage { token: &token.text, login: typed, name, fault });
    token.keep(response)
}

fn too_late() -> Response {
    let notice = Notice {
        title: "This link opens nothing".to_owned(),
        text: "It was used, is more than an hour old, or is not whole. As long as the hub has no owner, it prints a \
               new one each time it starts."
            .to_owned(),
        link: Some(("Sign in".to_owned(), "/login".to_owned())),
    };
    page(StatusCode::NOT_FOUND, &notice)
}
