//! `/login/backchannel/{name}`: an identity provider says that somebody
//! signed out there (OpenID Connect Back-Channel Logout 1.0).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::json;
use trunkline_model::Timestamp;
use trunkline_storage::{Identity, StoreError};
use trunkline_web::body;
use url::form_urlencoded;

use super::super::{Login, NO_STORE};
use super::id_token::LogoutToken;
use super::{Issuer, OidcError};

/// The largest request taken, in bytes.
const LARGEST: usize = 128 * 1024;
/// A token is no longer accepted by then.
const REMEMBERED: Duration = Duration::from_mins(15);

/// Which logout tokens were used, so that none counts twice.
#[derive(Debug, Default)]
pub(in crate::login) struct UsedTokens(Mutex<HashMap<String, Timestamp>>);

impl UsedTokens {
    /// It did nothing, and may come again.
    fn give_back(&self, issuer: &str, id: &str) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.remove(&format!("{issuer} {id}"));
    }

    /// False when it was used before.
    fn take(&self, issuer: &str, id: &str, now: Timestamp) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| now.since(*at) < REMEMBERED);
        used.insert(format!("{issuer} {id}"), now).is_none()
    }
}

/// `POST /login/backchannel/{name}`
pub(in crate::login) async fn sign_out(
    State(login): State<Arc<Login>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let Some(issuer) = login.issuer(&name) else { return refused("there is no such issuer") };
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&parts.headers, body, LARGEST).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let mut fields = form_urlencoded::parse(&bytes);
    let Some((_, token)) = fields.find(|(field, _)| field == "logout_token") else {
        return refused("logout_token is missing");
    };
    let token = match issuer.verify_logout_token(&login.outbound, &token, login.now()).await {
        Ok(token) => token,
        Err(error) => {
            tracing::warn!(issuer = %name, %error, "a back-channel logout was refused");
            return match error {
                OidcError::Away(_) => {
                    answer(StatusCode::SERVICE_UNAVAILABLE, "the keys cannot be fetched now")
                }
                error => refused(&error.to_string()),
            };
        }
    };
    if !login.used_tokens.take(&name, &token.id, login.now()) {
        return refused("the token was used before");
    }
    match login.end_issuer_sessions(&issuer, &token).await {
        Ok(ended) => {
            tracing::info!(issuer = %name, ended, "signed out by the identity provider");
            (StatusCode::OK, [(header::CACHE_CONTROL, NO_STORE)]).into_response()
        }
        Err(error) => {
            login.used_tokens.give_back(&name, &token.id);
            tracing::warn!(%error, "a back-channel logout could not be done");
            answer(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    }
}

impl Login {
    /// The one session that the token names, or all that the person began
    /// through this provider.
    async fn end_issuer_sessions(&self, issuer: &Issuer, token: &LogoutToken) -> Result<u64, StoreError> {
        let (sessions, now) = (self.store.browser_sessions(), self.now());
        let name = &issuer.settings.name;
        let kept = self.store.kept_identities();
        let ended = match (&token.session, &token.subject) {
            (Some(session), _) => {
                kept.erase_of_session(name, session).await?;
                sessions.revoke_of_issuer(name, session, now).await?
            }
            (None, Some(subject)) => {
                let identity = Identity { issuer: issuer.settings.issuer.clone(), subject: subject.clone() };
                match self.store.users().find_by_identity(&identity).await? {
                    Some(user) => {
                        kept.erase(user.id, name).await?;
                        sessions.revoke_of_method(name, user.id, now).await?
                    }
                    None => 0,
                }
            }
            (None, None) => 0,
        };
        self.people.catch_up().await?;
        Ok(ended)
    }
}

/// Section 2.8.
fn refused(description: &str) -> Response {
    answer(StatusCode::BAD_REQUEST, description)
}

fn answer(status: StatusCode, description: &str) -> Response {
    let body = json!({ "error": "invalid_request", "error_description": description });
    (status, [(header::CACHE_CONTROL, NO_STORE)], Json(body)).into_response()
}
