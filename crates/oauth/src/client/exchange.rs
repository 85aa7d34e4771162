//! One token for another (RFC 8693): whose token it is, where it is exchanged,
//! and what a refusal of it means.

use trunkline_model::{ClientAuthMethod, ExchangeAt, ExchangeAuth, GivenClient, Secret, Subject};

use super::assertion::{self, Claims};
use super::connections::Connections;
use super::discovery::Discovered;
use super::held::Held;
use super::identity::NoIdentity;
use super::obtain::{NotObtained, method_for};
use super::token::{Granted, Proof, TokenError};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What an exchange gave, and where.
pub(super) struct Exchanged {
    pub(super) granted: Granted,
    pub(super) token_endpoint: String,
    pub(super) client_id: String,
}

/// Whose token is shown, and which one it is.
struct Shown {
    token: Secret,
    kind: String,
    /// Of a caller's own: which one.
    own: Option<i64>,
}

impl Connections {
    /// Exchanges the token that `exchange` names, with `wanted` in the form.
    /// A caller's own that is refused is renewed once.
    pub(super) async fn exchanged(
        &self,
        held: &Held,
        exchange: &ExchangeAuth,
        wanted: &[(&str, &str)],
    ) -> Result<Exchanged, NotObtained> {
        let mut refused = None;
        loop {
            let shown = self.subject(held, &exchange.subject, refused).await?;
            let (token_endpoint, client) = self.place(&exchange.at).await?;
            let proof = self.prove(&client, None, &token_endpoint).map_err(NotObtained::Refused)?;
            let mut form = vec![
                ("grant_type", EXCHANGE),
                ("subject_token", shown.token.expose()),
                ("subject_token_type", shown.kind.as_str()),
            ];
            form.extend(wanted);
            match (self.ask(&token_endpoint, &proof, &form).await, shown.own) {
                (Ok(granted), _) => return Ok(Exchanged { granted, token_endpoint, client_id: proof.id }),
                (Err(NotObtained::Token(TokenError::Ended { said })), Some(version)) => {
                    if refused.replace(version).is_some() {
                        let reason = format!("a new ID token is refused ({said}); an operator has to look");
                        return Err(NotObtained::Refused(reason));
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Fails where there is nothing to exchange.
    pub(super) async fn check_subject(
        &self,
        held: &Held,
        exchange: &ExchangeAuth,
    ) -> Result<(), NotObtained> {
        self.subject(held, &exchange.subject, None).await.map(drop)
    }

    async fn subject(
        &self,
        held: &Held,
        subject: &Subject,
        refused: Option<i64>,
    ) -> Result<Shown, NotObtained> {
        match subject {
            Subject::Given { token, kind } => {
                Ok(Shown { token: token.clone(), kind: kind.clone(), own: None })
            }
            Subject::Caller { provider } => {
                let user = held.owner.user().ok_or_else(|| {
                    NoIdentity::Nobody(
                        "it is shown who calls, and this caller is no person: use a profile with `auth: oauth`, or a \
                         key of a person (`trunkline key create --user`), or give the server a `subject_token`"
                            .to_owned(),
                    )
                })?;
                let own = self.identities.id_token(user, provider, refused).await?;
                Ok(Shown { token: own.token, kind: ID_TOKEN.to_owned(), own: Some(own.version) })
            }
        }
    }

    /// Where it is exchanged, and as which client.
    async fn place(&self, at: &ExchangeAt) -> Result<(String, GivenClient), NoIdentity> {
        match at {
            ExchangeAt::Endpoint { token_endpoint, client } => Ok((token_endpoint.clone(), client.clone())),
            ExchangeAt::Provider(name) => {
                let provider = self.identities.exchange_at(name).await?;
                Ok((provider.token_endpoint, provider.client))
            }
        }
    }

    /// The proof of a given client at an authorization server that was found.
    pub(super) fn prove_at(&self, client: &GivenClient, found: &Discovered) -> Result<Proof, NotObtained> {
        let supported = found.metadata.token_endpoint_auth_methods_supported.as_deref();
        self.prove(client, supported, &found.metadata.issuer).map_err(NotObtained::Refused)
    }

    /// The proof of a given client, for one request to the authorization
    /// server that is called `audience`.
    ///
    /// # Errors
    /// In words: its key signs nothing.
    pub(super) fn prove(
        &self,
        client: &GivenClient,
        supported: Option<&[String]>,
        audience: &str,
    ) -> Result<Proof, String> {
        let method = client.method.unwrap_or_else(|| method_for(client.secret.is_some(), supported));
        let assertion = match &client.key {
            Some(key) if method == ClientAuthMethod::PrivateKeyJwt => {
                let (id, now) = (self.random_text(), self.clock.now());
                let claims = Claims { client_id: &client.id, audience, id: &id, now };
                let signed = assertion::sign(key, claims);
                Some(signed.map_err(|fault| format!("the `client_key` {fault}"))?)
            }
            Some(_) | None => None,
        };
        Ok(Proof { id: client.id.clone(), secret: client.secret.clone(), assertion, method })
    }
}
