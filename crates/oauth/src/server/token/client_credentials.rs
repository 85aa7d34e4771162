//! A service account gets a token by its client's own credentials (RFC 6749
//! section 4.4).

use trunkline_model::GrantFlow;

use super::{TokenError, require_grant_type};
use crate::scope;
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::client_metadata::AuthMethod;
use crate::server::form::Form;
use crate::server::issue::{Granting, Issued};

impl AuthorizationServer {
    pub(super) async fn client_credentials(
        &self,
        client: &Client,
        form: &Form,
    ) -> Result<Issued, TokenError> {
        require_grant_type(client, "client_credentials")?;
        let user = client.stored.service_user.ok_or(TokenError::UnauthorizedClient)?;
        if client.metadata.auth_method() == AuthMethod::None {
            return Err(TokenError::UnauthorizedClient);
        }
        let target = self.target_of(form.get("resource"), client).ok_or(TokenError::Target)?;
        if !self.admits(user, &target) {
            return Err(TokenError::Target);
        }
        // Without offline_access: the credentials are at hand.
        let asked = scope::without(form.get("scope").unwrap_or_default(), scope::OFFLINE_ACCESS);
        let granted = self.scopes_of(&target).granted(&asked);
        let granting = Granting {
            id: self.new_grant_id(),
            user,
            client: client.id(),
            target: &target,
            scope: &granted,
            flow: GrantFlow::ClientCredentials,
            lasts: true,
        };
        self.standing_grant(&granting).await
    }

    /// A token of the grant that such a request made before, or of a new one:
    /// one row stands for a client that asks every ten minutes.
    pub(super) async fn standing_grant(&self, granting: &Granting<'_>) -> Result<Issued, TokenError> {
        let now = self.clock.now();
        let kind = (granting.flow, granting.scope);
        let grants = self.store.grants();
        let found = grants.standing(granting.user, granting.client, granting.target, kind, now).await?;
        let grant = match found {
            // Revoked in between: then a new one is as good as this.
            Some(grant) if grants.mark_used(grant.id, now).await? => grant,
            _ => {
                let grant = self.new_grant(granting);
                grants.insert(&grant).await?;
                grant
            }
        };
        Ok(self.issued(&grant, None)?)
    }
}
