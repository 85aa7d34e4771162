//! `/logout`: here, and at the identity provider that the session came from
//! (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use trunkline_storage::StoreError;

use super::{Login, Posted, SignedIn, see_other, unavailable};
use crate::page::page;

#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    provider: &'a str,
    target: &'a str,
}

/// `POST /logout`
pub(super) async fn sign_out(State(login): State<Arc<Login>>, posted: Posted) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&posted.headers) else {
        return see_other(HeaderValue::from_static("/login"));
    };
    // Before the session ends, and with it what the provider wants to see.
    let elsewhere = login.sign_out_url(&signed_in).await;
    if elsewhere.is_some()
        && let Err(error) = login.empty_identity(&signed_in).await
    {
        return unavailable(error);
    }
    let cookie = match login.sessions.sign_out(signed_in.session).await {
        Ok(cookie) => cookie,
        Err(error) => return unavailable(error),
    };
    let mut response = match &elsewhere {
        // A page of its own: the form that was sent may lead nowhere else (CSP `form-action`).
        Some((provider, target)) => page(StatusCode::OK, &SignedOutPage { provider, target }),
        None => see_other(HeaderValue::from_static("/login")),
    };
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

impl Login {
    /// What came with a sign-in is not shown to servers once the person ends
    /// it at the provider too.
    async fn empty_identity(&self, signed_in: &SignedIn) -> Result<(), StoreError> {
        let sessions = self.people.sessions_of(signed_in.user.id);
        let Some(session) = sessions.iter().find(|session| session.id == signed_in.session) else {
            return Ok(());
        };
        self.store.kept_identities().empty(session.user, &session.method, session.id).await
    }

    /// The provider's name and where it ends its own session; none where the
    /// session here did not come from one, or it cannot.
    async fn sign_out_url(&self, signed_in: &SignedIn) -> Option<(String, String)> {
        let session = self.people.sessions_of(signed_in.user.id);
        let session = session.iter().find(|session| session.id == signed_in.session)?;
        let issuer = self.issuer(&session.method)?;
        let metadata = issuer.metadata(&self.outbound, self.now()).await.ok()?;
        let mut url = metadata.end_session_endpoint.clone()?;
        let sealed = self.store.browser_sessions().id_token(session.id).await.ok()??;
        let token = self.id_token_sealer.open(&issuer.settings.name, &sealed.parse().ok()?).ok()?;
        url.query_pairs_mut()
            .append_pair("id_token_hint", std::str::from_utf8(&token).ok()?)
            .append_pair("client_id", &issuer.settings.client_id)
            .append_pair("post_logout_redirect_uri", self.url("/login").expose());
        Some((issuer.settings.shown().to_owned(), url.to_string()))
    }
}
