//! A token for one profile becomes a token of the same user for another (RFC
//! 8693), for clients that an operator has allowed to do that.

use trunkline_model::{ClientKind, TokenTarget};

use super::{TOKEN_EXCHANGE, TokenError, require_grant_type, required};
use crate::scope::{self, Scopes};
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::client_metadata::AuthMethod;
use crate::server::form::Form;
use crate::server::issue::Issued;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl AuthorizationServer {
    /// The new token is one of the same grant: it ends with it.
    pub(super) async fn exchange(&self, client: &Client, form: &Form) -> Result<Issued, TokenError> {
        require_grant_type(client, TOKEN_EXCHANGE)?;
        let is_trusted =
            client.stored.kind == ClientKind::Registered && client.metadata.auth_method() != AuthMethod::None;
        if !is_trusted {
            return Err(TokenError::UnauthorizedClient);
        }
        if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
            return Err(TokenError::Grant("actor tokens are not supported"));
        }
        let is_access_token = |kind: &str| kind == ACCESS_TOKEN || kind == JWT;
        if !is_access_token(required(form, "subject_token_type")?)
            || !form.get("requested_token_type").is_none_or(is_access_token)
        {
            return Err(TokenError::Grant("only access tokens of this hub are exchanged"));
        }
        let subject = self
            .tokens
            .verify_for_any(required(form, "subject_token")?)
            .map_err(|_| TokenError::Grant("the subject token is not a good access token of this hub"))?;
        if *subject.client != *client.id() {
            return Err(TokenError::Grant("the subject token was issued to another client"));
        }
        let target =
            form.get("resource").or_else(|| form.get("audience")).ok_or(TokenError::Missing("resource"))?;
        let target = self.target_of(Some(target), client).ok_or(TokenError::Target)?;
        if subject.target == TokenTarget::AdminApi || target == TokenTarget::AdminApi {
            return Err(TokenError::Target);
        }
        let asked = form.get("scope").unwrap_or(scope::MCP);
        // What the user allowed in one profile is not allowed in another that calls a scope the same.
        let wide = if target == subject.target {
            subject.scope.to_string()
        } else {
            Scopes::of_profile(Vec::new()).granted(&subject.scope)
        };
        let narrowed = self.scopes_of(&target).narrowed(asked, &wide).ok_or(TokenError::Scope)?;
        let now = self.clock.now();
        let grant = self.store.grants().find(subject.grant).await?.filter(|grant| grant.is_live(now));
        let grant = grant.ok_or(TokenError::Grant("what the user granted is over or was revoked"))?;
        if !self.admits(grant.user, &target) {
            return Err(TokenError::Target);
        }
        if !self.store.grants().mark_used(grant.id, now).await? {
            return Err(TokenError::Grant("what the user granted is over or was revoked"));
        }
        Ok(self.issued_for(&grant, &target, &narrowed, None)?.exchanged())
    }
}
