//! `POST /oauth/introspect` (RFC 7662): a confidential client asks about a
//! token that was issued to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use trunkline_model::Timestamp;
use trunkline_storage::StoreError;

use super::AuthorizationServer;
use super::client::Client;
use super::client_auth::ClientAuthFault;
use super::client_metadata::AuthMethod;
use super::token::{TokenError, client_auth_response, read_form};
use crate::keys::Form;

pub(super) async fn handle(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = match read_form(&parts.headers, body).await {
        Ok(form) => form,
        Err(fault) => return TokenError::from(fault).into_response(),
    };
    let client = match server.authenticate_client(&parts.headers, &form).await {
        Ok(client) => client,
        Err(fault) => return client_auth_response(&fault),
    };
    if client.metadata.auth_method() == AuthMethod::None {
        return client_auth_response(&ClientAuthFault::NoProof);
    }
    let Some(token) = form.get("token") else { return TokenError::Missing("token").into_response() };
    match server.describe(&client, token).await {
        // Nothing else is said of a token that is not good, or not the client's (section 2.2).
        Ok(described) => Json(described.unwrap_or_else(|| json!({ "active": false }))).into_response(),
        Err(error) => client_auth_response(&ClientAuthFault::Unavailable(error)),
    }
}

impl AuthorizationServer {
    async fn describe(&self, client: &Client, token: &str) -> Result<Option<Value>, StoreError> {
        let seconds = |at: Timestamp| at.as_micros().div_euclid(1_000_000);
        let now = self.clock.now();
        if let Some(hash) = Form::REFRESH.hash_if_well_formed(token) {
            let Some(found) = self.store.refresh_tokens().find(&hash).await? else { return Ok(None) };
            let Some(grant) = self.store.grants().find(found.grant).await? else { return Ok(None) };
            let is_good = grant.client == client.id()
                && grant.is_live(now)
                && found.used_at.is_none()
                && now < found.expires_at
                && self.admits(grant.user, &grant.target);
            return Ok(is_good.then(|| {
                json!({
                    "active": true, "client_id": grant.client, "sub": grant.user.to_string(),
                    "scope": grant.scope, "iss": self.tokens.issuer(), "exp": seconds(found.expires_at),
                    "iat": seconds(found.created_at),
                })
            }));
        }
        let Ok(verified) = self.tokens.verify_for_any(token) else { return Ok(None) };
        if *verified.client != *client.id() || !self.admits(verified.user, &verified.target) {
            return Ok(None);
        }
        Ok(Some(json!({
            "active": true, "client_id": verified.client.as_ref(), "sub": verified.user.to_string(),
            "scope": verified.scope, "iss": self.tokens.issuer(), "aud": self.tokens.audience(&verified.target),
            "exp": seconds(verified.expires_at), "iat": seconds(verified.issued_at), "jti": verified.id,
            "token_type": "Bearer",
        })))
    }
}
