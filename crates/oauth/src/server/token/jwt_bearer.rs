//! An assertion of a trusted identity provider becomes a token (RFC 7523
//! section 2.1): the identity assertion grant (ID-JAG) of enterprise-managed
//! authorization.

use trunkline_model::{ClientKind, GrantFlow, TokenTarget};

use super::{JWT_BEARER, TokenError, require_grant_type, required};
use crate::scope;
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::client_metadata::AuthMethod;
use crate::server::form::Form;
use crate::server::issue::{Granting, Issued};

impl AuthorizationServer {
    pub(super) async fn take_assertion(&self, client: &Client, form: &Form) -> Result<Issued, TokenError> {
        require_grant_type(client, JWT_BEARER)?;
        let is_trusted =
            client.stored.kind == ClientKind::Registered && client.metadata.auth_method() != AuthMethod::None;
        if !is_trusted {
            return Err(TokenError::UnauthorizedClient);
        }
        let asserted = self.check_identity_assertion(client, required(form, "assertion")?).await?;
        if let Some(resource) = form.get("resource")
            && resource != asserted.resource
        {
            return Err(TokenError::Target);
        }
        let target = self.target_of(Some(&asserted.resource), client).ok_or(TokenError::Target)?;
        if target == TokenTarget::AdminApi {
            // An identity provider says who somebody is, not that they administer the hub now.
            return Err(TokenError::Target);
        }
        let known = self.scopes_of(&target);
        let allowed = asserted.scope.as_deref().unwrap_or(scope::MCP);
        if !scope::has(allowed, scope::MCP) {
            return Err(TokenError::Scope);
        }
        // There is no refresh token: a new assertion is as good.
        let granted = scope::without(&known.granted(allowed), scope::OFFLINE_ACCESS);
        let granted = match form.get("scope") {
            Some(asked) => known.narrowed(asked, &granted).ok_or(TokenError::Scope)?,
            None => granted,
        };
        if !self.admits(asserted.user, &target) {
            return Err(TokenError::Target);
        }
        let granting = Granting {
            id: self.new_grant_id(),
            user: asserted.user,
            client: client.id(),
            target: &target,
            scope: &granted,
            flow: GrantFlow::Assertion,
            lasts: true,
        };
        self.standing_grant(&granting).await
    }
}
