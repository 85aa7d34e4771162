//! `/account`: who one is here.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use trunkline_model::User;

use super::{Login, see_other};
use crate::page::page;

#[derive(Debug, Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    token: &'a str,
    user: &'a User,
    teams: Vec<String>,
    groups: Vec<String>,
}

/// `GET /account`
pub(super) async fn show(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&headers) else {
        return std::future::ready(see_other(HeaderValue::from_static("/login?next=/account"))).await;
    };
    let token = login.forms.token(&headers);
    let (teams, groups) = login.people.belongs_to(signed_in.user.id);
    let shown = AccountPage { token: &token.text, user: &signed_in.user, teams, groups };
    let response = page(StatusCode::OK, &shown);
    token.keep(response)
}
