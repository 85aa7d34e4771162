//! Tokens that need nobody's consent: client credentials (RFC 6749 section
//! 4.4), a workload's token (RFC 7523 section 2.1), token exchange (RFC 8693), and an identity assertion for a grant
//! (RFC 7523; enterprise-managed authorization).

use std::sync::Arc;

use trunkline_model::{
    ClientAuthMethod, Connection, ConnectionDetail, ConnectionState, ExchangeAuth, IdJagAuth, OAuthAuth,
    ServerAuth,
};

use super::connections::{Connections, Upstream};
use super::discovery::{Discovered, DiscoveryError, discover};
use super::exchange::Exchanged;
use super::held::{Held, Unusable};
use super::identity::NoIdentity;
use super::refresh::{Because, no_database};
use super::token::{self, Granted, Proof, TokenError};
use super::workload;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Tokens, and what is to be known of them.
struct Obtained {
    granted: Granted,
    detail: ConnectionDetail,
}

/// Why there are none.
pub(super) enum NotObtained {
    Discovery(DiscoveryError),
    Token(TokenError),
    Identity(NoIdentity),
    /// What the configuration lacks, or an operator has stopped.
    Refused(String),
}

impl Connections {
    /// A new token for a connection that stands on nobody's consent.
    pub(super) async fn renew_alone(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        held: &Held,
        because: &Because,
    ) -> Result<(), Unusable> {
        let snapshot = held.now.load_full();
        let now = self.clock.now();
        if let Some(detail) = snapshot.connection.as_ref().map(|connection| &connection.detail)
            && detail.retry_at.is_some_and(|at| at > now)
        {
            return Err(Unusable::Unavailable { reason: detail.reason.clone().unwrap_or_default() });
        }
        if let Because::Refused { said, .. } = because
            && !held.may_mend(now)
        {
            let said = said.as_deref().map(|said| format!(" ({})", super::metadata::cut(said)));
            let reason = format!("the server refuses the access token{}", said.unwrap_or_default());
            return Err(Unusable::Unavailable { reason });
        }
        let obtained = match &upstream.auth {
            ServerAuth::OAuth(oauth) => Box::pin(self.by_client_credentials(upstream, oauth)).await,
            ServerAuth::Exchange(exchange) => Box::pin(self.by_exchange(upstream, held, exchange)).await,
            ServerAuth::IdJag(jag) => Box::pin(self.by_id_jag(upstream, held, jag)).await,
            ServerAuth::None | ServerAuth::Bearer(_) => {
                return Err(Unusable::Unavailable { reason: "the server needs no token".to_owned() });
            }
        };
        match obtained {
            Ok(Obtained { granted, mut detail }) => {
                let connection = self.row(held).await?;
                detail.connected_at = connection.detail.connected_at.or(Some(now));
                self.took(held, Connection { detail, ..connection }, None, granted).await
            }
            Err(NotObtained::Identity(NoIdentity::Nobody(reason))) => Err(Unusable::NotForCaller { reason }),
            Err(NotObtained::Identity(NoIdentity::SignIn(reason))) => {
                Err(self.needs_sign_in(held, because, reason).await)
            }
            Err(error) => {
                let connection = self.row(held).await?;
                Err(self.not_obtained(held, connection, snapshot.tokens.clone(), error.to_string()).await)
            }
        }
    }

    /// The row that a connection is kept in, made where there is none yet.
    async fn row(&self, held: &Held) -> Result<Connection, Unusable> {
        match &held.now.load_full().connection {
            Some(connection) => Ok(connection.clone()),
            None => self.first(held).await,
        }
    }

    /// The person has to sign in. A token that the server has not refused is
    /// used to its end.
    async fn needs_sign_in(&self, held: &Held, because: &Because, reason: String) -> Unusable {
        let snapshot = held.now.load_full();
        let connection = match self.row(held).await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        let now = self.clock.now();
        let is_due = matches!(because, Because::Due);
        let kept = snapshot.tokens.clone().filter(|_| is_due && !snapshot.is_expired(now));
        let is_known = connection.state == ConnectionState::NeedsConsent
            && connection.detail.reason.as_ref() == Some(&reason)
            && kept.is_some() == snapshot.tokens.is_some();
        // Each call of somebody who does not sign in would be written otherwise.
        if is_known {
            return Unusable::NeedsConsent { reason };
        }
        self.ended(held, &connection, kept, reason).await
    }

    /// A row to keep the hub's own connection in.
    async fn first(&self, held: &Held) -> Result<Connection, Unusable> {
        let connection = Connection {
            server: held.server.clone(),
            owner: held.owner.clone(),
            version: self.clock.now().as_micros(),
            state: ConnectionState::Unreachable,
            sealed: None,
            detail: ConnectionDetail::default(),
            lease: None,
        };
        self.store.connections().put(&connection).await.map_err(|error| no_database(&error))?;
        Ok(connection)
    }

    async fn not_obtained(
        &self,
        held: &Held,
        connection: Connection,
        tokens: Option<token::Tokens>,
        reason: String,
    ) -> Unusable {
        if let Some(tokens) = tokens {
            return self.put_off(held, connection, &tokens, reason, None).await;
        }
        let mut next = connection;
        let now = self.clock.now();
        next.state = ConnectionState::Unreachable;
        next.detail.failures = next.detail.failures.saturating_add(1);
        let wait = std::time::Duration::from_secs(5 << next.detail.failures.min(5));
        next.detail.retry_at = Some(now.plus(wait));
        next.detail.reason = Some(reason.clone());
        next.detail.last_error = Some(reason.clone());
        next.detail.last_error_at = Some(now);
        let _ = self.store_and_show(held, next, None).await;
        Unusable::Unavailable { reason }
    }

    async fn by_client_credentials(
        self: &Arc<Self>,
        upstream: &Upstream,
        oauth: &OAuthAuth,
    ) -> Result<Obtained, NotObtained> {
        let client = oauth
            .client
            .as_ref()
            .ok_or_else(|| NotObtained::Refused("no client is configured".to_owned()))?;
        let found = discover(self.transport.as_ref(), &upstream.url).await?;
        let proof = self.prove_at(client, &found)?;
        let scopes = if oauth.scopes.is_empty() { found.scopes.clone() } else { oauth.scopes.clone() };
        let scope = scopes.join(" ");
        let workload = match &oauth.workload {
            Some(token) => Some(workload::read(token).await.map_err(NotObtained::Refused)?),
            None => None,
        };
        let mut form = match &workload {
            Some(token) => vec![("grant_type", JWT_BEARER), ("assertion", token.expose())],
            None => vec![("grant_type", "client_credentials")],
        };
        form.push(("resource", found.resource.as_str()));
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let endpoint = found.metadata.token_endpoint.clone().unwrap_or_default();
        let granted = self.ask(&endpoint, &proof, &form).await?;
        Ok(Obtained { granted, detail: detail_of(&found, &proof, scopes) })
    }

    async fn by_exchange(
        &self,
        upstream: &Upstream,
        held: &Held,
        exchange: &ExchangeAuth,
    ) -> Result<Obtained, NotObtained> {
        let resource = upstream.url.to_string();
        let scope = exchange.scopes.join(" ");
        let mut form = vec![("requested_token_type", ACCESS_TOKEN), ("resource", resource.as_str())];
        form.extend(exchange.audience.as_deref().map(|audience| ("audience", audience)));
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let Exchanged { granted, token_endpoint, client_id } = self.exchanged(held, exchange, &form).await?;
        let detail = ConnectionDetail {
            issuer: token_endpoint.clone(),
            token_endpoint,
            client_id,
            resource,
            scopes: exchange.scopes.clone(),
            ..ConnectionDetail::default()
        };
        Ok(Obtained { granted, detail })
    }

    async fn by_id_jag(
        self: &Arc<Self>,
        upstream: &Upstream,
        held: &Held,
        jag: &IdJagAuth,
    ) -> Result<Obtained, NotObtained> {
        let idp = &jag.idp;
        // Who has nothing to show has nobody asked.
        self.check_subject(held, idp).await?;
        let found = discover(self.transport.as_ref(), &upstream.url).await?;
        let scopes = if idp.scopes.is_empty() { found.scopes.clone() } else { idp.scopes.clone() };
        let scope = scopes.join(" ");
        let audience = idp.audience.clone().unwrap_or_else(|| found.metadata.issuer.clone());
        let mut form = vec![
            ("requested_token_type", ID_JAG),
            ("audience", audience.as_str()),
            ("resource", found.resource.as_str()),
        ];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let assertion = self.exchanged(held, idp, &form).await?.granted;
        if assertion.issued_token_type.as_deref().is_some_and(|kind| kind != ID_JAG) {
            return Err(NotObtained::Refused(
                "the identity provider gave another token than asked for".to_owned(),
            ));
        }
        let proof = self.prove_at(&jag.client, &found)?;
        let assertion = assertion.tokens.access_token;
        let mut form = vec![
            ("grant_type", JWT_BEARER),
            ("assertion", assertion.expose()),
            ("resource", found.resource.as_str()),
        ];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let endpoint = found.metadata.token_endpoint.clone().unwrap_or_default();
        let granted = self.ask(&endpoint, &proof, &form).await?;
        Ok(Obtained { granted, detail: detail_of(&found, &proof, scopes) })
    }

    pub(super) async fn ask(
        &self,
        endpoint: &str,
        proof: &Proof,
        form: &[(&str, &str)],
    ) -> Result<Granted, NotObtained> {
        token::ask(self.transport.as_ref(), endpoint, proof, form, || self.clock.now())
            .await
            .map_err(NotObtained::Token)
    }
}

impl From<NoIdentity> for NotObtained {
    fn from(error: NoIdentity) -> Self {
        Self::Identity(error)
    }
}

/// How a client proves itself where nobody has said: as the metadata allows.
pub(super) fn method_for(has_secret: bool, supported: Option<&[String]>) -> ClientAuthMethod {
    if !has_secret {
        return ClientAuthMethod::None;
    }
    let takes = |method: ClientAuthMethod| {
        supported.is_some_and(|supported| supported.iter().any(|name| name == method.as_str()))
    };
    // Without a list it is basic (RFC 8414 section 2).
    if !takes(ClientAuthMethod::ClientSecretBasic) && takes(ClientAuthMethod::ClientSecretPost) {
        return ClientAuthMethod::ClientSecretPost;
    }
    ClientAuthMethod::ClientSecretBasic
}

fn detail_of(found: &Discovered, proof: &Proof, scopes: Vec<String>) -> ConnectionDetail {
    ConnectionDetail {
        issuer: found.metadata.issuer.clone(),
        token_endpoint: found.metadata.token_endpoint.clone().unwrap_or_default(),
        revocation_endpoint: found.metadata.revocation_endpoint.clone(),
        client_id: proof.id.clone(),
        resource: found.resource.clone(),
        scopes,
        ..ConnectionDetail::default()
    }
}

impl From<DiscoveryError> for NotObtained {
    fn from(error: DiscoveryError) -> Self {
        Self::Discovery(error)
    }
}

impl std::fmt::Display for NotObtained {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discovery(error) => error.fmt(formatter),
            Self::Token(error) => error.fmt(formatter),
            Self::Identity(error) => error.fmt(formatter),
            Self::Refused(reason) => formatter.write_str(reason),
        }
    }
}
