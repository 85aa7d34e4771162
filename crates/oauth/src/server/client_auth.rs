//! A client proves who it is (RFC 6749 section 2.3, RFC 7523 section 2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use trunkline_model::{OauthClient, Timestamp, TokenHash};
use trunkline_storage::StoreError;

use super::AuthorizationServer;
use super::client::{Client, ClientFault};
use super::client_metadata::AuthMethod;
use super::foreign_keys;
use super::form::Form;
use crate::foreign_jwt::Keys;
use crate::keys;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far in the future an assertion may end, in seconds.
const LONGEST_LIFETIME: i64 = 600;
const LEEWAY: i64 = 60;

/// Why a client is not who it says.
#[derive(Debug, Error)]
pub(super) enum ClientAuthFault {
    #[error("the request does not say which client it is from")]
    Missing,
    #[error("the request proves its client in more than one way")]
    Several,
    #[error("{0}")]
    Client(ClientFault),
    #[error("the client must prove who it is, and did not")]
    NoProof,
    #[error("the client's proof is wrong")]
    Wrong,
    #[error("the hub cannot check this now; try again later")]
    Unavailable(#[from] StoreError),
}

enum Proof<'a> {
    None,
    Secret(String),
    Assertion(&'a str),
}

impl AuthorizationServer {
    /// The client that sends a request with this body.
    pub(super) async fn authenticate_client(
        &self,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Client, ClientAuthFault> {
        let (id, proof) = presented(headers, form)?;
        let client = self.client(&id).await.map_err(|fault| match fault {
            ClientFault::Unavailable(error) => ClientAuthFault::Unavailable(error),
            fault => ClientAuthFault::Client(fault),
        })?;
        match (client.metadata.auth_method(), proof) {
            (AuthMethod::None, Proof::None) => Ok(client),
            // A public client that sends a secret all the same is asked for nothing.
            (AuthMethod::None, Proof::Secret(_)) if client.stored.secret_hash.is_none() => Ok(client),
            (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, Proof::Secret(secret)) => {
                if is_secret_of(&client.stored, &keys::hash(&secret), self.clock.now()) {
                    Ok(client)
                } else {
                    Err(ClientAuthFault::Wrong)
                }
            }
            (AuthMethod::PrivateKeyJwt, Proof::Assertion(assertion)) => {
                self.check_assertion(&client, assertion).await?;
                Ok(client)
            }
            (_, Proof::None) => Err(ClientAuthFault::NoProof),
            _ => Err(ClientAuthFault::Wrong),
        }
    }

    /// RFC 7523 section 3.
    async fn check_assertion(&self, client: &Client, assertion: &str) -> Result<(), ClientAuthFault> {
        #[derive(Clone, Deserialize)]
        struct Claims {
            iss: String,
            sub: String,
            aud: Audience,
            exp: i64,
            jti: String,
        }

        let metadata = &client.metadata;
        let verified = match (&metadata.jwks, &metadata.jwks_uri) {
            (Some(keys), None) => {
                let keys: Keys = serde_json::from_value(keys.clone()).map_err(|_| ClientAuthFault::Wrong)?;
                foreign_keys::verify::<Claims>(assertion, &keys, None)
            }
            (None, Some(url)) => Box::pin(self.verify_with_keys_at::<Claims>(url, assertion, None)).await,
            _ => return Err(ClientAuthFault::Wrong),
        };
        let claims = verified.map_err(|fault| {
            tracing::debug!(client = client.id(), %fault, "a client's assertion is not taken");
            ClientAuthFault::Wrong
        })?;
        let now = self.clock.now().as_micros().div_euclid(1_000_000);
        let in_time =
            now < claims.exp.saturating_add(LEEWAY) && claims.exp <= now + LONGEST_LIFETIME + LEEWAY;
        let ours = claims.aud.one().and_then(|aud| self.base.path_of(aud));
        let ours = matches!(ours, Some("" | "/oauth/token"));
        if claims.iss != client.id() || claims.sub != client.id() || !ours || !in_time {
            return Err(ClientAuthFault::Wrong);
        }
        if self.use_up(client.id(), &claims.jti, claims.exp).await? {
            Ok(())
        } else {
            Err(ClientAuthFault::Wrong)
        }
    }

    /// Uses up an assertion of `issuer`; false when it had been used.
    pub(super) async fn use_up(&self, issuer: &str, jti: &str, expires: i64) -> Result<bool, StoreError> {
        let hash = keys::hash(&format!("{}:{issuer}:{jti}", issuer.len()));
        let until = Timestamp::from_micros(expires.saturating_add(LEEWAY).saturating_mul(1_000_000));
        self.store.used_assertions().use_up(&hash, until).await
    }
}

/// `aud`: one, or several of which one must be ours (RFC 7519 section 4.1.3).
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// The only one that there is: what is meant for others too is not taken.
    pub(super) fn one(&self) -> Option<&str> {
        match self {
            Self::One(one) => Some(one),
            Self::Several(several) => match several.as_slice() {
                [one] => Some(one),
                _ => None,
            },
        }
    }
}

fn presented<'a>(headers: &HeaderMap, form: &'a Form) -> Result<(String, Proof<'a>), ClientAuthFault> {
    let basic = basic(headers)?;
    let secret = form.get("client_secret");
    let assertion = form.get("client_assertion");
    if usize::from(basic.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(ClientAuthFault::Several);
    }
    let id = form.get("client_id");
    if let Some((basic_id, secret)) = basic {
        if id.is_some_and(|id| id != basic_id) {
            return Err(ClientAuthFault::Several);
        }
        return Ok((basic_id, Proof::Secret(secret)));
    }
    if let Some(assertion) = assertion {
        if form.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(ClientAuthFault::Wrong);
        }
        let id =
            id.map(ToOwned::to_owned).or_else(|| subject_of(assertion)).ok_or(ClientAuthFault::Missing)?;
        return Ok((id, Proof::Assertion(assertion)));
    }
    let id = id.ok_or(ClientAuthFault::Missing)?.to_owned();
    Ok((id, secret.map_or(Proof::None, |secret| Proof::Secret(secret.to_owned()))))
}

/// Whom an assertion is about; nothing is believed of it yet.
fn subject_of(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }

    let subject: Subject = jsonwebtoken::dangerous::insecure_decode_claims(assertion).ok()?;
    Some(subject.sub)
}

/// RFC 6749 section 2.3.1: both parts are form-encoded before Base64.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, ClientAuthFault> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ClientAuthFault::Several);
    }
    let text = value.to_str().map_err(|_| ClientAuthFault::Wrong)?;
    let (scheme, encoded) = text.split_once(' ').ok_or(ClientAuthFault::Wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ClientAuthFault::Wrong);
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| ClientAuthFault::Wrong)?;
    let decoded = String::from_utf8(decoded).map_err(|_| ClientAuthFault::Wrong)?;
    let (id, secret) = decoded.split_once(':').ok_or(ClientAuthFault::Wrong)?;
    Ok(Some((form_decoded(id), form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// Whether a secret with this hash is the client's, or was until lately.
fn is_secret_of(client: &OauthClient, found: &TokenHash, now: Timestamp) -> bool {
    let previous = client.previous_secret.filter(|previous| now < previous.until);
    client.secret_hash.is_some_and(|newest| is_same(&newest, found))
        || previous.is_some_and(|previous| is_same(&previous.hash, found))
}

fn is_same(expected: &TokenHash, found: &TokenHash) -> bool {
    expected.0.ct_eq(&found.0).into()
}
