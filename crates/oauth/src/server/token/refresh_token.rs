//! A refresh token becomes new tokens (RFC 6749 section 6), and the next one
//! takes its place (RFC 9700 section 4.14.2).

use std::time::Duration;

use trunkline_storage::authorization::Rotation;

use super::{TokenError, required};
use crate::keys;
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::form::Form;
use crate::server::issue::Issued;

/// How long after its use a token is answered once more: its answer may have
/// been lost on the way.
const GRACE: Duration = Duration::from_mins(1);

const NOT_GOOD: TokenError = TokenError::Grant("the refresh token is not good, or not this client's");
const OVER: TokenError = TokenError::Grant("what the user granted is over or was revoked");

impl AuthorizationServer {
    pub(super) async fn refresh(&self, client: &Client, form: &Form) -> Result<Issued, TokenError> {
        let text = required(form, "refresh_token")?;
        let hash = keys::Form::REFRESH.hash_if_well_formed(text).ok_or(NOT_GOOD)?;
        let found = self.store.refresh_tokens().find(&hash).await?.ok_or(NOT_GOOD)?;
        let grant = self.store.grants().find(found.grant).await?.ok_or(NOT_GOOD)?;
        let now = self.clock.now();
        if grant.client != client.id() {
            return Err(NOT_GOOD);
        }
        if !grant.is_live(now) {
            return Err(OVER);
        }
        if now >= found.expires_at {
            return Err(TokenError::Grant("the refresh token has expired; the user must sign in again"));
        }
        let known = self.scopes_of(&grant.target);
        // A scope that there is no more is left out of what was granted.
        let asked = form.get("scope").unwrap_or(&grant.scope);
        let narrowed = known.narrowed(asked, &grant.scope).ok_or(TokenError::Scope)?;
        if let Some(resource) = form.get("resource")
            && !self.is_resource(resource, &grant.target)
        {
            return Err(TokenError::Target);
        }
        if !self.admits(grant.user, &grant.target) {
            return Err(TokenError::Grant("the user may not use this profile any more"));
        }
        let (secret, next) = self.new_refresh_token(&grant, Some(hash));
        let issued = self.issued_for(&grant, &grant.target, &narrowed, Some(&secret))?;
        match self.store.refresh_tokens().rotate(&hash, &next, GRACE).await? {
            Rotation::Rotated => {}
            Rotation::Repeated => {
                tracing::info!(client = grant.client, grant = %grant.id, "a refresh token is answered once more");
            }
            Rotation::Reused => {
                tracing::warn!(client = grant.client, grant = %grant.id, "a refresh token was used twice; its grant is revoked");
                return Err(TokenError::Grant("the refresh token has been used; what it gave is revoked"));
            }
            Rotation::GrantOver => return Err(OVER),
        }
        Ok(issued)
    }
}
