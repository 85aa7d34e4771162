//! Makes grants and the tokens of them.

use std::time::Duration;

use rand::Rng as _;
use serde::Serialize;
use trunkline_model::{Grant, GrantFlow, GrantId, Secret, TokenHash, TokenTarget, UserId};
use trunkline_storage::authorization::RefreshToken;

use super::AuthorizationServer;
use super::client::Client;
use crate::keys::Form;
use crate::scope::{self, Scopes};
use crate::tokens::{self, SigningError, Wanted};

/// How long a grant lives, however often it is used.
const GRANT_LIFETIME: Duration = Duration::from_hours(24 * 90);
/// How long a refresh token waits for its use.
const REFRESH_LIFETIME: Duration = Duration::from_hours(24 * 30);

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Debug, Serialize)]
pub(super) struct Issued {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// RFC 8693 section 2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Who gets a grant, and for what.
pub(super) struct Granting<'a> {
    pub(super) id: GrantId,
    pub(super) user: UserId,
    pub(super) client: &'a str,
    pub(super) target: &'a TokenTarget,
    pub(super) scope: &'a str,
    pub(super) flow: GrantFlow,
    /// It lives on in refresh tokens, or is used again.
    pub(super) lasts: bool,
}

impl Issued {
    pub(super) fn exchanged(mut self) -> Self {
        self.issued_token_type = Some("urn:ietf:params:oauth:token-type:access_token");
        self
    }
}

impl AuthorizationServer {
    pub(super) fn new_grant_id(&self) -> GrantId {
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        GrantId::new(random, self.clock.now())
    }

    pub(super) fn new_grant(&self, granting: &Granting<'_>) -> Grant {
        let now = self.clock.now();
        Grant {
            id: granting.id,
            user: granting.user,
            client: granting.client.to_owned(),
            target: granting.target.clone(),
            scope: granting.scope.to_owned(),
            flow: granting.flow,
            created_at: now,
            used_at: now,
            expires_at: now.plus(if granting.lasts { GRANT_LIFETIME } else { tokens::LIFETIME }),
            revoked_at: None,
            revoked_because: None,
        }
    }

    /// A new refresh token, and what is stored of it. It never outlives its grant.
    pub(super) fn new_refresh_token(
        &self,
        grant: &Grant,
        parent: Option<TokenHash>,
    ) -> (Secret, RefreshToken) {
        let now = self.clock.now();
        let minted = Form::REFRESH.mint(&mut rand::rng());
        let stored = RefreshToken {
            hash: minted.hash,
            grant: grant.id,
            parent,
            created_at: now,
            expires_at: now.plus(REFRESH_LIFETIME).min(grant.expires_at),
            used_at: None,
        };
        (minted.key, stored)
    }

    /// An access token of `grant` for its resource, in an answer.
    pub(super) fn issued(&self, grant: &Grant, refresh: Option<&Secret>) -> Result<Issued, SigningError> {
        self.issued_for(grant, &grant.target, &grant.scope, refresh)
    }

    /// An access token of `grant` for another resource or less scope.
    pub(super) fn issued_for(
        &self,
        grant: &Grant,
        target: &TokenTarget,
        scope: &str,
        refresh: Option<&Secret>,
    ) -> Result<Issued, SigningError> {
        let wanted = Wanted { user: grant.user, client: &grant.client, grant: grant.id, target, scope };
        Ok(Issued {
            access_token: self.tokens.issue(&wanted)?,
            token_type: "Bearer",
            expires_in: tokens::LIFETIME.as_secs(),
            scope: scope.to_owned(),
            refresh_token: refresh.map(|secret| secret.expose().to_owned()),
            issued_token_type: None,
        })
    }

    /// The scopes that tokens for the resource can have now.
    pub(super) fn scopes_of(&self, target: &TokenTarget) -> Scopes {
        match target {
            TokenTarget::Profile(name) => {
                let access = self.profiles.find(name.as_str());
                Scopes::of_profile(access.map(|access| access.scopes).unwrap_or_default())
            }
            TokenTarget::AdminApi => Scopes::of_admin_api(),
        }
    }

    /// Whether the user may use the resource now. What of the admin API is
    /// open to them is for it to say, with each request.
    pub(super) fn admits(&self, user: UserId, target: &TokenTarget) -> bool {
        match target {
            TokenTarget::Profile(name) => {
                let access = self.profiles.find(name.as_str());
                access.is_some_and(|access| self.people.admits(access.members.as_ref(), user))
            }
            TokenTarget::AdminApi => self.people.enabled(user).is_some(),
        }
    }
}

/// Whether a client gets a refresh token: it says that it can use one, or asks.
pub(super) fn wants_refresh(client: &Client, scope: &str) -> bool {
    client.metadata.has_grant_type("refresh_token") || scope::has(scope, scope::OFFLINE_ACCESS)
}
