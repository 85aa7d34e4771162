//! `/login/issuer/{name}`: sends the browser to an identity provider.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::super::{Login, Next, see_other};
use super::transaction::Transaction;
use super::{Issuer, OidcError};
use crate::page::{Notice, page};

#[derive(Debug, Deserialize)]
pub(in crate::login) struct Wanted {
    next: Option<String>,
}

/// `GET /login/issuer/{name}?next=/local/path`
pub(in crate::login) async fn begin(
    State(login): State<Arc<Login>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Some(issuer) = login.issuer(&name) else { return no_such_issuer() };
    let next = Next::or_home(wanted.next.as_deref());
    match login.authorization_url(&issuer, &next).await {
        Ok((location, cookie)) => {
            let mut response = see_other(location);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        Err(error) => {
            tracing::warn!(issuer = %name, %error, "a sign-in could not begin");
            away(issuer.settings.shown())
        }
    }
}

impl Login {
    /// Where the browser goes (OpenID Connect Core section 3.1.2.1), and the
    /// cookie with which it comes back.
    async fn authorization_url(
        &self,
        issuer: &Issuer,
        next: &Next,
    ) -> Result<(HeaderValue, HeaderValue), OidcError> {
        let metadata = issuer.metadata(&self.outbound, self.now()).await?;
        let settings = &issuer.settings;
        let transaction = Transaction::new(next.as_str(), &mut rand::rng(), self.now());
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &self.callback_url(&settings.name))
            .append_pair("scope", &settings.scopes.join(" "))
            .append_pair("state", &transaction.state)
            .append_pair("nonce", &transaction.nonce)
            .append_pair("code_challenge", &transaction.challenge())
            .append_pair("code_challenge_method", "S256");
        if settings.scopes.iter().any(|scope| scope == "offline_access") {
            // Without it offline access is not granted (OpenID Connect Core section 11).
            url.query_pairs_mut().append_pair("prompt", "consent");
        }
        let location = HeaderValue::from_str(url.as_str())
            .map_err(|_| OidcError::Metadata("its authorization endpoint is not a URL"))?;
        let cookie = transaction
            .keep(self, &settings.name)
            .ok_or(OidcError::Metadata("the request could not be sealed"))?;
        Ok((location, cookie))
    }

    /// What the operator registers at the provider.
    pub(super) fn callback_url(&self, issuer: &str) -> String {
        format!("{}/login/callback/{issuer}", self.public_url.as_str().trim_end_matches('/'))
    }
}

pub(super) fn no_such_issuer() -> Response {
    let notice = Notice {
        title: "Nobody signs in that way here".to_owned(),
        text: "This hub has no identity provider of that name.".to_owned(),
        link: Some(("Sign in".to_owned(), "/login".to_owned())),
    };
    page(StatusCode::NOT_FOUND, &notice)
}

pub(super) fn away(shown: &str) -> Response {
    let notice = Notice {
        title: format!("{shown} cannot be reached"),
        text: "The identity provider does not answer as it should. Nobody was signed in; try again in a minute. \
               The hub's log says what is wrong."
            .to_owned(),
        link: Some(("Sign in".to_owned(), "/login".to_owned())),
    };
    page(StatusCode::BAD_GATEWAY, &notice)
}
