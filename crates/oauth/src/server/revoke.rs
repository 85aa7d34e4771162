//! `POST /oauth/revoke` (RFC 7009): a client gives a token back. The whole
//! grant ends with it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use trunkline_model::GrantId;
use trunkline_storage::StoreError;

use super::AuthorizationServer;
use super::client::Client;
use super::client_auth::ClientAuthFault;
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
    let Some(token) = form.get("token") else { return TokenError::Missing("token").into_response() };
    match server.give_back(&client, token).await {
        // A token that nobody knows is as good as revoked (section 2.2).
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => client_auth_response(&ClientAuthFault::Unavailable(error)),
    }
}

impl AuthorizationServer {
    async fn give_back(&self, client: &Client, token: &str) -> Result<(), StoreError> {
        let Some(id) = self.grant_of(token).await? else { return Ok(()) };
        let own = self.store.grants().find(id).await?.filter(|grant| grant.client == client.id());
        if own.is_some() {
            self.store.grants().revoke(id, self.clock.now(), "the client gave it back").await?;
        }
        Ok(())
    }

    /// The grant of a refresh token, or of an access token that is good.
    async fn grant_of(&self, token: &str) -> Result<Option<GrantId>, StoreError> {
        if let Some(hash) = Form::REFRESH.hash_if_well_formed(token) {
            return Ok(self.store.refresh_tokens().find(&hash).await?.map(|found| found.grant));
        }
        Ok(self.tokens.verify_for_any(token).ok().map(|verified| verified.grant))
    }
}
