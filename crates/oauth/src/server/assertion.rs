//! Identity assertions (`draft-ietf-oauth-identity-assertion-authz-grant`):
//! what an issuer that the operator trusts says of a user.

use serde::Deserialize;
use trunkline_model::UserId;
use trunkline_storage::Identity;

use super::AuthorizationServer;
use super::client::Client;
use super::client_auth::Audience;
use super::token::TokenError;

/// The media type of an ID-JAG, without `application/`.
const TYP: &str = "oauth-id-jag+jwt";
const LEEWAY: i64 = 60;
/// An assertion that is good for longer was not made for this, in seconds.
const LONGEST_LIFETIME: i64 = 900;

/// Whose assertions are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionIssuer {
    /// Its `iss`, letter by letter.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The claim that holds what the user signs in with here, such as `email`,
    /// for users who have never signed in through the issuer. None: those are
    /// not let in.
    pub login_claim: Option<String>,
}

/// Who may do what, according to an assertion.
pub(super) struct Asserted {
    pub(super) user: UserId,
    pub(super) resource: String,
    pub(super) scope: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    resource: String,
    client_id: String,
    jti: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    scope: Option<String>,
    /// Delegation is not judged here, so it is not taken either.
    #[serde(default)]
    act: Option<serde_json::Value>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

const NOT_GOOD: TokenError = TokenError::Grant("the assertion is not one that this hub takes");

impl AuthorizationServer {
    pub(super) async fn check_identity_assertion(
        &self,
        client: &Client,
        assertion: &str,
    ) -> Result<Asserted, TokenError> {
        let issuer = self.issuer_of(assertion).ok_or(NOT_GOOD)?;
        let verified =
            Box::pin(self.verify_with_keys_at::<Claims>(&issuer.jwks_uri, assertion, Some(TYP))).await;
        let claims = verified.map_err(|fault| {
            tracing::info!(client = client.id(), issuer = issuer.issuer, %fault, "an assertion is not taken");
            NOT_GOOD
        })?;
        let now = self.clock.now().as_micros().div_euclid(1_000_000);
        let in_time = now < claims.exp.saturating_add(LEEWAY)
            && claims.iat <= now + LEEWAY
            && claims.nbf.is_none_or(|from| from <= now + LEEWAY)
            && claims.exp.saturating_sub(claims.iat) <= LONGEST_LIFETIME;
        let is_for_us = claims.aud.one().and_then(|aud| self.base.path_of(aud)) == Some("");
        let is_ours = claims.iss == issuer.issuer && is_for_us && claims.client_id == client.id();
        if !in_time || !is_ours || claims.act.is_some() || claims.jti.is_empty() {
            return Err(NOT_GOOD);
        }
        let user = self.asserted_user(&issuer, &claims).await?.ok_or(NOT_GOOD)?;
        if !self.use_up(&claims.iss, &claims.jti, claims.exp).await? {
            return Err(TokenError::Grant("the assertion has been used"));
        }
        Ok(Asserted { user, resource: claims.resource, scope: claims.scope })
    }

    /// The user that the issuer knows by this subject, or else the one who
    /// signs in with what its claim says.
    async fn asserted_user(
        &self,
        issuer: &AssertionIssuer,
        claims: &Claims,
    ) -> Result<Option<UserId>, TokenError> {
        let identity = Identity { issuer: claims.iss.clone(), subject: claims.sub.clone() };
        if let Some(user) = self.store.users().find_by_identity(&identity).await? {
            return Ok(Some(user.id));
        }
        let Some(claim) = &issuer.login_claim else { return Ok(None) };
        let login = match claim.as_str() {
            "sub" => Some(claims.sub.as_str()),
            name => claims.others.get(name).and_then(serde_json::Value::as_str),
        };
        Ok(login.and_then(|login| self.people.by_login(login)).map(|user| user.id))
    }

    /// Which trusted issuer an assertion says it is from; its keys will tell.
    fn issuer_of(&self, assertion: &str) -> Option<AssertionIssuer> {
        #[derive(Deserialize)]
        struct From {
            iss: String,
        }

        let from: From = jsonwebtoken::dangerous::insecure_decode_claims(assertion).ok()?;
        self.settings.load().assertion_issuers.iter().find(|issuer| issuer.issuer == from.iss).cloned()
    }
}
