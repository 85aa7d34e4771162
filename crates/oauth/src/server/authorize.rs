//! `GET /oauth/authorize` (RFC 6749 section 4.1.1): a client sends a user's
//! browser here, and it comes back with a code or an error.

mod answer;
mod error;
mod request;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use trunkline_model::ClientKind;
use trunkline_storage::authorization::AuthorizationCode;
use url::form_urlencoded;

use super::AuthorizationServer;
use super::pages::{ConsentPage, administers_as};
use super::{issue, redirect};
use crate::keys::Form;
use crate::login::SignedIn;
use crate::page;
use crate::scope;

pub(super) use answer::Answer;
pub(super) use error::{AuthorizeError, ErrorCode};
pub(super) use request::Asked;

use std::time::Duration;

/// How long a code waits for its redemption.
const CODE_LIFETIME: Duration = Duration::from_mins(1);

pub(super) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match server.authorize(&headers, &query).await {
        Ok(response) => response,
        Err(error) => error.into_response(server.issuer(&headers)),
    }
}

impl AuthorizationServer {
    async fn authorize(&self, headers: &HeaderMap, query: &str) -> Result<Response, AuthorizeError> {
        let request = self.read_request(query).await?;
        let Some(signed_in) = self.sessions.signed_in(headers) else {
            return self.to_sign_in(&request, query);
        };
        let asked = &request.asked;
        if !self.admits(signed_in.user.id, &asked.target) {
            let words = format!("{} is not a member of the profile {}.", signed_in.user.login, asked.target);
            return Err(AuthorizeError::shown(&request, ErrorCode::AccessDenied, words));
        }
        let allowed = if request.wants_consent { None } else { self.allowed(&signed_in, asked).await? };
        if allowed.as_ref().is_some_and(|allowed| scope::is_within(&asked.scope, allowed)) {
            return self.answer_with_code(&signed_in, asked, self.issuer(headers)).await;
        }
        if request.must_not_ask {
            let words = "the user must be asked";
            return Err(AuthorizeError::answered(&request, ErrorCode::InteractionRequired, words));
        }
        self.ask(&request, &signed_in, allowed.as_deref())
    }

    /// Sends the browser to sign in and back here.
    fn to_sign_in(
        &self,
        request: &request::AuthorizationRequest,
        query: &str,
    ) -> Result<Response, AuthorizeError> {
        if request.must_not_ask {
            let words = "nobody is signed in";
            return Err(AuthorizeError::answered(request, ErrorCode::LoginRequired, words));
        }
        Ok(self.sign_in_and_return("/oauth/authorize", query))
    }

    /// A redirect to the sign-in page that leads back to `path`.
    pub(super) fn sign_in_and_return(&self, path: &str, query: &str) -> Response {
        let base = self.public_url.path().trim_end_matches('/');
        let next = if query.is_empty() { format!("{base}{path}") } else { format!("{base}{path}?{query}") };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        see_other(&format!("{base}/login?next={next}"))
    }

    /// The scopes that the user allowed this client before, where the answer
    /// can reach nobody else: what any program of the machine can pose as is
    /// asked about each time, unless its id is its own alone.
    async fn allowed(&self, signed_in: &SignedIn, asked: &Asked) -> Result<Option<String>, AuthorizeError> {
        let is_local = redirect::kind(&asked.redirect_uri).is_none_or(redirect::Kind::is_local);
        if is_local && asked.client_kind != ClientKind::Dynamic {
            return Ok(None);
        }
        let user = signed_in.user.id;
        let consents = self.store.consents();
        Ok(consents.scope(user, &asked.client, &asked.registered_uri, &asked.target).await?)
    }

    /// Asks for what is new. What was allowed before stays with it, so that a
    /// client that needs more loses nothing.
    fn ask(
        &self,
        request: &request::AuthorizationRequest,
        signed_in: &SignedIn,
        allowed: Option<&str>,
    ) -> Result<Response, AuthorizeError> {
        let client = &request.client;
        let known = self.scopes_of(&request.asked.target);
        let allowed = allowed.unwrap_or_default();
        let scope = known.union(&request.asked.scope, allowed);
        let asked = &Asked { scope, ..request.asked.clone() };
        let transaction = self.carry("consent", signed_in.session, asked)?;
        let described = known.described(&asked.scope);
        let (kept, scopes) = described.into_iter().partition(|scope| scope::has(allowed, &scope.name));
        let template = ConsentPage {
            client: client.name().to_owned(),
            client_host: (asked.client_kind == ClientKind::Document)
                .then(|| redirect::destination(client.id())),
            is_verified: asked.client_kind == ClientKind::Registered,
            destination: redirect::destination(&asked.redirect_uri),
            is_local: redirect::kind(&asked.redirect_uri).is_none_or(redirect::Kind::is_local),
            resource: asked.target.to_string(),
            administers_as: administers_as(&asked.target, signed_in),
            scopes,
            kept,
            user: signed_in.user.login.clone(),
            stays_signed_in: issue::wants_refresh(client, &asked.scope),
            transaction,
        };
        let target = redirect::policy_source(&asked.redirect_uri);
        Ok(page::page_with_form_target(StatusCode::OK, &template, target.as_deref()))
    }

    /// Sends the browser back to the client with a new code.
    pub(super) async fn answer_with_code(
        &self,
        signed_in: &SignedIn,
        asked: &Asked,
        issuer: &str,
    ) -> Result<Response, AuthorizeError> {
        let minted = Form::CODE.mint(&mut rand::rng());
        let code = AuthorizationCode {
            hash: minted.hash,
            grant: self.new_grant_id(),
            user: signed_in.user.id,
            client: asked.client.clone(),
            target: asked.target.clone(),
            scope: asked.scope.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            challenge: asked.challenge.clone(),
            expires_at: self.clock.now().plus(CODE_LIFETIME),
            used_at: None,
        };
        self.store.codes().insert(&code).await?;
        let location = asked.answer().location(issuer, &[("code", minted.key.expose())]);
        Ok(see_other(&location))
    }
}

/// A redirect after which the browser asks with GET (RFC 9700 section 4.12).
pub(super) fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
