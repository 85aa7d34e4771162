//! Becoming a client of an authorization server: given, by a client id
//! metadata document, or by dynamic registration (RFC 7591); kept for each
//! server and issuer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use serde::Deserialize;
use thiserror::Error;
use trunkline_model::{
    ClientAuthMethod, Connection, ExchangeAt, GivenClient, OAuthAuth, RegisteredBy, RegistrationBy, Secret,
    ServerAuth, ServerName, Timestamp, UpstreamClient, UpstreamClientDetail,
};
use trunkline_storage::StoreError;

use super::connections::{Connections, Upstream, no_vault};
use super::discovery::Discovered;
use super::metadata::cut;
use super::obtain::method_for;
use super::sealed::{ClientSecrets, open, place_of_client, seal_client};
use super::token::Proof;
use super::transport::{Transport, TransportError};

/// A secret that ends so soon is not worth a consent.
const TOO_SOON: Duration = Duration::from_mins(15);

/// Why the hub is no client.
#[derive(Debug, Error)]
pub enum RegistrationError {
    #[error("an operator has paused the hub's client at {issuer}")]
    Paused { issuer: String },
    #[error(
        "the authorization server {issuer} takes no registrations; register a client there by hand, with the \
         redirect URI {redirect_uri}, and write its `client_id` into the server's `auth`"
    )]
    NotOffered { issuer: String, redirect_uri: String },
    #[error("the configuration asks for a given client and names none")]
    NoGivenClient,
    #[error("{0}")]
    Key(String),
    #[error("the registration at {asked} failed: {source}")]
    Unreachable {
        asked: String,
        #[source]
        source: TransportError,
    },
    #[error("the authorization server refuses to register the hub: {said}")]
    Refused { said: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a registration answers with (RFC 7591 section 3.2.1, RFC 7592 section 3).
#[derive(Deserialize)]
pub(super) struct Registered {
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) client_secret: Option<Secret>,
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    registration_client_uri: Option<String>,
    #[serde(default)]
    registration_access_token: Option<Secret>,
}

impl Registered {
    /// An answer to a change may leave out what stays (RFC 7592 section 3).
    pub(super) fn keep_what_is_not_told(&mut self, before: &ClientSecrets, uri: &str) {
        self.client_secret = self.client_secret.take().or_else(|| before.secret.clone());
        let token = self.registration_access_token.take();
        self.registration_access_token = token.or_else(|| before.registration_token.clone());
        self.registration_client_uri.get_or_insert_with(|| uri.to_owned());
    }
}

impl Connections {
    /// The client that the hub is for `upstream` at the issuer that was
    /// found: as it is known, or registered now.
    ///
    /// # Errors
    /// [`RegistrationError`] in words for a person.
    pub(super) async fn client(
        &self,
        upstream: &Upstream,
        oauth: &OAuthAuth,
        found: &Discovered,
        scopes: &[String],
    ) -> Result<(UpstreamClient, Proof), RegistrationError> {
        let issuer = &found.metadata.issuer;
        let known = self.store.upstream_clients().find(&upstream.name, issuer).await?;
        if known.as_ref().is_some_and(|client| client.detail.paused_at.is_some()) {
            return Err(RegistrationError::Paused { issuer: issuer.clone() });
        }
        let supported = found.metadata.token_endpoint_auth_methods_supported.as_deref();
        match (&oauth.client, oauth.registration) {
            (Some(given), RegistrationBy::Auto | RegistrationBy::Given) => {
                let proof = self.prove(given, supported, issuer);
                let proof = proof.map_err(RegistrationError::Key)?;
                return Ok((self.keep_given(upstream, issuer, &proof, known).await?, proof));
            }
            (None, RegistrationBy::Given) => return Err(RegistrationError::NoGivenClient),
            (_, _) => {}
        }
        if let Some(client) = known.filter(|client| self.is_good(client, oauth.registration)) {
            let proof = self.proof_of_client(&client)?;
            return Ok((client, proof));
        }
        let by_document = self.presence.metadata_url.as_ref().filter(|_| {
            oauth.registration == RegistrationBy::Cimd
                || oauth.registration == RegistrationBy::Auto
                    && found.metadata.client_id_metadata_document_supported
        });
        if let Some(id) = by_document {
            return self.keep_document(upstream, issuer, id).await;
        }
        let endpoint = found.metadata.registration_endpoint.as_deref();
        let Some(endpoint) = endpoint.filter(|_| oauth.registration != RegistrationBy::Cimd) else {
            let redirect_uri = self.presence.redirect_uri.clone();
            return Err(RegistrationError::NotOffered { issuer: issuer.clone(), redirect_uri });
        };
        self.register(upstream, issuer, endpoint, wanted_method(supported), scopes).await
    }

    /// Whether a client can go on being used for new consents.
    fn is_good(&self, client: &UpstreamClient, wanted: RegistrationBy) -> bool {
        let detail = &client.detail;
        let soon = self.clock.now().plus(TOO_SOON);
        let same_kind = match wanted {
            RegistrationBy::Auto => detail.registered_by != RegisteredBy::Given,
            RegistrationBy::Given => detail.registered_by == RegisteredBy::Given,
            RegistrationBy::Cimd => detail.registered_by == RegisteredBy::Cimd,
            RegistrationBy::Dcr => detail.registered_by == RegisteredBy::Dcr,
        };
        let same_document = detail.registered_by != RegisteredBy::Cimd
            || self.presence.metadata_url.as_deref() == Some(&client.client_id);
        same_kind
            && same_document
            && !detail.is_unknown
            && detail.secret_expires_at.is_none_or(|end| end > soon)
            && detail.redirect_uris.contains(&self.presence.redirect_uri)
    }

    async fn keep_given(
        &self,
        upstream: &Upstream,
        issuer: &str,
        proof: &Proof,
        known: Option<UpstreamClient>,
    ) -> Result<UpstreamClient, RegistrationError> {
        if let Some(known) = known
            && known.client_id == proof.id
            && known.detail.registered_by == RegisteredBy::Given
            && known.detail.has_secret == proof.secret.is_some()
            && !known.detail.is_unknown
        {
            return Ok(known);
        }
        let detail = UpstreamClientDetail {
            registered_by: RegisteredBy::Given,
            method: Some(proof.method),
            has_secret: proof.secret.is_some(),
            ..self.new_detail()
        };
        let client = self.keep(upstream, issuer, proof.id.clone(), None, detail).await?;
        Ok(client)
    }

    async fn keep_document(
        &self,
        upstream: &Upstream,
        issuer: &str,
        id: &str,
    ) -> Result<(UpstreamClient, Proof), RegistrationError> {
        let method = ClientAuthMethod::None;
        let detail = UpstreamClientDetail {
            registered_by: RegisteredBy::Cimd,
            method: Some(method),
            ..self.new_detail()
        };
        let client = self.keep(upstream, issuer, id.to_owned(), None, detail).await?;
        Ok((client, Proof { id: id.to_owned(), secret: None, assertion: None, method }))
    }

    fn new_detail(&self) -> UpstreamClientDetail {
        UpstreamClientDetail {
            redirect_uris: vec![self.presence.redirect_uri.clone()],
            registered_at: Some(self.clock.now()),
            ..UpstreamClientDetail::default()
        }
    }

    pub(super) async fn keep(
        &self,
        upstream: &Upstream,
        issuer: &str,
        client_id: String,
        sealed: Option<String>,
        detail: UpstreamClientDetail,
    ) -> Result<UpstreamClient, StoreError> {
        let (server, issuer) = (upstream.name.clone(), issuer.to_owned());
        let client = UpstreamClient { server, issuer, client_id, sealed, detail };
        self.store.upstream_clients().put(&client).await?;
        Ok(client)
    }

    /// Registers dynamically (RFC 7591 section 3.1).
    pub(super) async fn register(
        &self,
        upstream: &Upstream,
        issuer: &str,
        endpoint: &str,
        method: ClientAuthMethod,
        scopes: &[String],
    ) -> Result<(UpstreamClient, Proof), RegistrationError> {
        let metadata = self.presence.metadata(method, scopes);
        let request = Request::post(endpoint)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Bytes::from(metadata.to_string()));
        let registered = sent(self.transport.as_ref(), endpoint, request).await?;
        let detail = UpstreamClientDetail {
            registered_by: RegisteredBy::Dcr,
            scopes: scopes.to_vec(),
            ..self.new_detail()
        };
        let client = self.keep_registered(upstream, issuer, registered, detail, method).await?;
        let proof = self.proof_of_client(&client)?;
        tracing::info!(server = %upstream.name, issuer, client = client.client_id, "registered at an authorization server");
        Ok((client, proof))
    }

    /// Keeps what a registration or its change answered with.
    pub(super) async fn keep_registered(
        &self,
        upstream: &Upstream,
        issuer: &str,
        registered: Registered,
        mut detail: UpstreamClientDetail,
        asked: ClientAuthMethod,
    ) -> Result<UpstreamClient, RegistrationError> {
        let told = registered.token_endpoint_auth_method.as_deref().and_then(ClientAuthMethod::named);
        let has_secret = registered.client_secret.is_some();
        detail.method = Some(match told.unwrap_or(asked) {
            ClientAuthMethod::None if has_secret && told.is_none() => ClientAuthMethod::ClientSecretBasic,
            _ if !has_secret => ClientAuthMethod::None,
            method => method,
        });
        detail.has_secret = has_secret;
        // Zero: it does not end (RFC 7591 section 3.2.1).
        let ends = registered.client_secret_expires_at.filter(|seconds| *seconds > 0);
        detail.secret_expires_at =
            ends.map(|seconds| Timestamp::from_micros(seconds.saturating_mul(1_000_000)));
        let secrets = ClientSecrets {
            secret: registered.client_secret,
            registration_token: registered.registration_access_token,
        };
        detail.registration_uri = registered.registration_client_uri;
        let place = place_of_client(&upstream.name, issuer);
        let sealed = seal_client(&self.client_sealer, &place, &secrets).map_err(|error| no_vault(&error))?;
        Ok(self.keep(upstream, issuer, registered.client_id, sealed, detail).await?)
    }

    pub(super) fn secrets(&self, client: &UpstreamClient) -> Result<ClientSecrets, StoreError> {
        let place = place_of_client(&client.server, &client.issuer);
        match &client.sealed {
            Some(sealed) => open(&self.client_sealer, &place, sealed).map_err(|error| no_vault(&error)),
            None => Ok(ClientSecrets::default()),
        }
    }

    fn proof_of_client(&self, client: &UpstreamClient) -> Result<Proof, StoreError> {
        let secret = self.secrets(client)?.secret;
        let method = client.detail.method.unwrap_or_else(|| method_for(secret.is_some(), None));
        Ok(Proof { id: client.client_id.clone(), secret, assertion: None, method })
    }

    /// How the hub proves itself for a connection of `client_id`: with the
    /// secret that the configuration has now, else with the one that is stored.
    ///
    /// # Errors
    /// Why it cannot, in words.
    pub(super) async fn proof(
        &self,
        server: &ServerName,
        issuer: &str,
        client_id: &str,
    ) -> Result<Proof, String> {
        let found = self.store.upstream_clients().find(server, issuer).await;
        let stored = found.map_err(|error| error.to_string())?;
        let method = stored.as_ref().and_then(|client| client.detail.method);
        if let Some(given) = self.given_client(server, client_id).await {
            let given = GivenClient { method: given.method.or(method), ..given };
            return self.prove(&given, None, issuer);
        }
        match stored.filter(|client| client.client_id == client_id) {
            Some(client) => self.proof_of_client(&client).map_err(|error| error.to_string()),
            // A public client needs nothing but its name.
            None => {
                let id = client_id.to_owned();
                Ok(Proof { id, secret: None, assertion: None, method: ClientAuthMethod::None })
            }
        }
    }

    /// The client of this id that the configuration has for a server.
    async fn given_client(&self, server: &ServerName, client_id: &str) -> Option<GivenClient> {
        let upstream = self.upstream(server)?;
        let given = match &upstream.auth {
            ServerAuth::OAuth(oauth) => oauth.client.clone(),
            ServerAuth::IdJag(jag) => Some(jag.client.clone()),
            ServerAuth::Exchange(exchange) => match &exchange.at {
                ExchangeAt::Endpoint { client, .. } => Some(client.clone()),
                ExchangeAt::Provider(name) => {
                    self.identities.exchange_at(name).await.ok().map(|provider| provider.client)
                }
            },
            ServerAuth::None | ServerAuth::Bearer(_) => None,
        };
        given.filter(|given| given.id == client_id)
    }

    /// Notes that the authorization server does not know the client of a
    /// connection: the next consent registers anew, where that is ours to do.
    pub(super) async fn client_refused(&self, connection: &Connection, said: &str) {
        let clients = self.store.upstream_clients();
        let noted = async {
            let found = clients.find(&connection.server, &connection.detail.issuer).await?;
            let Some(mut client) = found.filter(|client| client.client_id == connection.detail.client_id)
            else {
                return Ok(());
            };
            client.detail.is_unknown = client.detail.registered_by == RegisteredBy::Dcr;
            client.detail.last_error = Some(cut(said));
            client.detail.last_error_at = Some(self.clock.now());
            clients.put(&client).await
        };
        if let Err(error) = noted.await {
            tracing::warn!(server = %connection.server, %error, "what a client met cannot be stored");
        }
    }
}

/// The best of what the authorization server takes.
fn wanted_method(supported: Option<&[String]>) -> ClientAuthMethod {
    let takes = |method: ClientAuthMethod| {
        supported.is_none_or(|supported| supported.iter().any(|name| name == method.as_str()))
    };
    [ClientAuthMethod::ClientSecretBasic, ClientAuthMethod::ClientSecretPost]
        .into_iter()
        .find(|method| takes(*method))
        .unwrap_or(ClientAuthMethod::None)
}

/// Sends a request about a registration and reads its answer.
pub(super) async fn sent(
    transport: &dyn Transport,
    asked: &str,
    request: Result<Request<Bytes>, http::Error>,
) -> Result<Registered, RegistrationError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let unreachable = |source| RegistrationError::Unreachable { asked: asked.to_owned(), source };
    let request = request.map_err(|error| unreachable(TransportError::Refused(error.to_string())))?;
    let response: Response<Bytes> = transport.send(request).await.map_err(unreachable)?;
    let status = response.status();
    if status.is_success()
        && let Ok(registered) = serde_json::from_slice::<Registered>(response.body())
        && !registered.client_id.is_empty()
    {
        return Ok(registered);
    }
    let said = match serde_json::from_slice::<Refusal>(response.body()) {
        Ok(refusal) => format!("{}: {}", cut(&refusal.error), cut(&refusal.error_description)),
        Err(_) => format!("HTTP {}", status.as_u16()),
    };
    Err(RegistrationError::Refused { said })
}
