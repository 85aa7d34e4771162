//! A code becomes tokens (RFC 6749 section 4.1.3).

use trunkline_model::GrantFlow;
use trunkline_storage::authorization::AuthorizationCode;

use super::{TokenError, require_grant_type, required};
use crate::keys;
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::form::Form;
use crate::server::issue::{Granting, Issued, wants_refresh};
use crate::server::pkce;

const NOT_GOOD: TokenError = TokenError::Grant("the code is not good, or not this client's");

impl AuthorizationServer {
    pub(super) async fn redeem_code(&self, client: &Client, form: &Form) -> Result<Issued, TokenError> {
        require_grant_type(client, "authorization_code")?;
        let text = required(form, "code")?;
        let hash = keys::Form::CODE.hash_if_well_formed(text).ok_or(NOT_GOOD)?;
        let code = self
            .store
            .codes()
            .find(&hash)
            .await?
            .filter(|code| code.client == client.id())
            .ok_or(NOT_GOOD)?;
        if code.used_at.is_some() {
            return self.code_was_used(&code).await;
        }
        self.check_code(&code, form)?;
        let grant = self.new_grant(&Granting {
            id: code.grant,
            user: code.user,
            client: client.id(),
            target: &code.target,
            scope: &code.scope,
            flow: GrantFlow::AuthorizationCode,
            lasts: wants_refresh(client, &code.scope),
        });
        let refresh = wants_refresh(client, &code.scope).then(|| self.new_refresh_token(&grant, None));
        let stored = refresh.as_ref().map(|(_, stored)| stored);
        // Signed first: a code is not used up for nothing.
        let issued = self.issued(&grant, refresh.as_ref().map(|(secret, _)| secret))?;
        if !self.store.codes().redeem(&hash, &grant, stored).await? {
            return self.code_was_used(&code).await;
        }
        Ok(issued)
    }

    fn check_code(&self, code: &AuthorizationCode, form: &Form) -> Result<(), TokenError> {
        if self.clock.now() >= code.expires_at {
            return Err(TokenError::Grant("the code has expired"));
        }
        // OAuth 2.1 has no redirect_uri here; where one is sent it is the one of the request.
        if form.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
            return Err(TokenError::Grant("redirect_uri is not the one that the code was sent to"));
        }
        let verifier = required(form, "code_verifier")?;
        if !pkce::matches(&code.challenge, verifier) {
            return Err(TokenError::Grant("code_verifier does not belong to the code"));
        }
        if let Some(resource) = form.get("resource")
            && !self.is_resource(resource, &code.target)
        {
            return Err(TokenError::Target);
        }
        if !self.admits(code.user, &code.target) {
            return Err(TokenError::Grant("the user may not use this profile any more"));
        }
        Ok(())
    }

    /// Two hold the same code, and one of them should not: the tokens that
    /// the first one got are good no more (RFC 6749 section 4.1.2).
    async fn code_was_used(&self, code: &AuthorizationCode) -> Result<Issued, TokenError> {
        tracing::warn!(client = code.client, grant = %code.grant, "an authorization code was used twice; its grant is revoked");
        self.store.grants().revoke(code.grant, self.clock.now(), "its code was used twice").await?;
        Err(TokenError::Grant("the code has been used; what it gave is revoked"))
    }
}
