//! What operators and people do with connections and clients.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;
use trunkline_model::{
    ClientAuthMethod, ConnectionOwner, ConnectionState, RegisteredBy, ServerAuth, ServerName, Timestamp,
    UpstreamClient,
};
use trunkline_storage::StoreError;

use super::connections::Connections;
use super::discovery::{DiscoveryError, discover};
use super::held::{Credential, Held, Unusable};
use super::registration::{RegistrationError, sent};

/// A connection as people see it; no token, no secret.
#[derive(Debug, Clone, Serialize)]
pub struct ShownConnection {
    pub server: ServerName,
    pub owner: ConnectionOwner,
    /// `connected`, `expiring`, `needs_consent`, `refused`, `revoked` or `unreachable`.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub scopes: Vec<String>,
    /// What the server has asked for beyond.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted_scopes: Vec<String>,
    pub issuer: String,
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When the server last answered a request with it, as far as this process knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<String>,
}

/// A client as operators see it; no secret.
#[derive(Debug, Clone, Serialize)]
pub struct ShownClient {
    pub server: ServerName,
    pub issuer: String,
    pub client_id: String,
    /// `given`, `cimd` or `dcr`.
    pub registered_by: RegisteredBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<ClientAuthMethod>,
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<String>,
    /// How many connections stand on it.
    pub connections: usize,
    pub has_secret: bool,
    /// Seconds since its secret was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error_at: Option<String>,
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum SteerError {
    #[error("the hub has no client at {issuer} for {server}")]
    NoSuchClient { server: ServerName, issuer: String },
    #[error("the client is given by the configuration; change its secret there")]
    Given,
    #[error("a client id metadata document has no secret that could be rotated")]
    NoSecret,
    #[error(
        "the authorization server does not let its clients be managed; register anew, which asks everybody to consent again"
    )]
    NotManaged,
    #[error("the server is no longer in the catalogue")]
    NoSuchServer,
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Connections {
    /// Every connection, by server and owner.
    pub fn list(&self) -> Vec<ShownConnection> {
        let mut shown: Vec<_> = self.all().iter().filter_map(|held| self.shown(held)).collect();
        shown.sort_by(|one, other| (&one.server, &one.owner).cmp(&(&other.server, &other.owner)));
        shown
    }

    /// Those of one owner, for whom each server that a person can connect is
    /// there: with none where it is not connected.
    pub fn list_of(&self, owner: &ConnectionOwner) -> Vec<(ServerName, Option<ShownConnection>)> {
        let mine = |upstream: &Arc<super::connections::Upstream>| upstream.auth.is_per_user();
        let upstreams = self.upstreams().into_iter().filter(mine);
        upstreams
            .map(|upstream| (upstream.name.clone(), self.shown(&self.held(&upstream.name, owner))))
            .collect()
    }

    /// The servers that one person connects for everybody.
    pub fn list_shared(&self) -> Vec<(ServerName, Option<ShownConnection>)> {
        let owner = ConnectionOwner::shared();
        let shared = |upstream: &Arc<super::connections::Upstream>| {
            upstream.needs_person() && !upstream.auth.is_per_user()
        };
        let upstreams = self.upstreams().into_iter().filter(shared);
        upstreams
            .map(|upstream| (upstream.name.clone(), self.shown(&self.held(&upstream.name, &owner))))
            .collect()
    }

    /// The sign-in provider whose ID token of the caller a server is shown; none where it is shown none.
    pub fn shows_caller_of(&self, server: &ServerName) -> Option<String> {
        self.upstream(server)?.auth.shows_caller_of().map(ToOwned::to_owned)
    }

    /// Connects a server that is shown who calls, for `owner`, if it is not connected.
    ///
    /// # Errors
    /// [`Unusable`] says whether a sign-in can help.
    pub async fn connect_by_sign_in(
        self: &Arc<Self>,
        server: &ServerName,
        owner: &ConnectionOwner,
    ) -> Result<(), Unusable> {
        let Some(upstream) = self.upstream(server) else {
            return Err(Unusable::NotForCaller { reason: "there is no such server".to_owned() });
        };
        let held = self.held(server, owner);
        // A person asks: they need not wait for the next try.
        self.make_due(&held);
        Credential { connections: Arc::clone(self), upstream, held }.obtain().await.map(drop)
    }

    /// Whose connection a person makes of `server`; none when there is nothing to connect.
    pub fn is_shared(&self, server: &ServerName) -> Option<bool> {
        let upstream = self.upstream(server)?;
        let can_be = upstream.needs_person() || upstream.auth.shows_caller_of().is_some();
        can_be.then(|| !upstream.auth.is_per_user())
    }

    fn shown(&self, held: &Held) -> Option<ShownConnection> {
        let now = held.now.load();
        let connection = now.connection.clone()?;
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let detail = connection.detail;
        let lasts = now.tokens.as_ref().is_some_and(|tokens| tokens.refresh_token.is_some());
        let person = self.upstream(&held.server).is_none_or(|upstream| upstream.needs_person());
        let state = match connection.state {
            ConnectionState::Connected if now.barred.is_some() => "refused",
            ConnectionState::Connected if person && !lasts && detail.expires_at.is_some() => "expiring",
            other => other.as_str(),
        };
        Some(ShownConnection {
            state,
            reason: now.barred.clone().or(detail.reason),
            scopes: detail.scopes,
            wanted_scopes: detail.wanted,
            issuer: detail.issuer,
            client_id: detail.client_id,
            connected_at: text(detail.connected_at),
            refreshed_at: text(detail.refreshed_at),
            expires_at: text(detail.expires_at),
            last_exchange: text(held.last_exchange()),
            last_error: detail.last_error,
            last_error_at: text(detail.last_error_at),
            server: connection.server,
            owner: connection.owner,
        })
    }

    /// Every client, by server and issuer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clients(&self) -> Result<Vec<ShownClient>, StoreError> {
        let clients = self.store.upstream_clients().list().await?;
        let connections = self.list();
        let now = self.clock.now();
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Ok(clients
            .into_iter()
            .map(|client| {
                let stands_on = |connection: &&ShownConnection| {
                    connection.server == client.server && connection.issuer == client.issuer
                };
                let detail = client.detail;
                let given_at = detail.rotated_at.or(detail.registered_at).filter(|_| detail.has_secret);
                ShownClient {
                    connections: connections.iter().filter(stands_on).count(),
                    registered_by: detail.registered_by,
                    method: detail.method,
                    redirect_uris: detail.redirect_uris,
                    scopes: detail.scopes,
                    has_secret: detail.has_secret,
                    secret_age_seconds: given_at.map(|at| now.since(at).as_secs()),
                    secret_expires_at: text(detail.secret_expires_at),
                    registered_at: text(detail.registered_at),
                    paused_at: text(detail.paused_at),
                    last_error: detail.last_error,
                    last_error_at: text(detail.last_error_at),
                    server: client.server,
                    issuer: client.issuer,
                    client_id: client.client_id,
                }
            })
            .collect())
    }

    async fn known_client(&self, server: &ServerName, issuer: &str) -> Result<UpstreamClient, SteerError> {
        let found = self.store.upstream_clients().find(server, issuer).await?;
        found.ok_or_else(|| SteerError::NoSuchClient { server: server.clone(), issuer: issuer.to_owned() })
    }

    /// Stops or resumes the use of a client: no token of it is sent or refreshed meanwhile.
    ///
    /// # Errors
    /// [`SteerError`].
    pub async fn pause_client(
        &self,
        server: &ServerName,
        issuer: &str,
        pause: bool,
    ) -> Result<(), SteerError> {
        let mut client = self.known_client(server, issuer).await?;
        client.detail.paused_at = pause.then(|| self.clock.now());
        self.store.upstream_clients().put(&client).await?;
        Ok(self.catch_up().await?)
    }

    /// A new secret for a client whose registration can be managed (RFC 7592
    /// section 2.2); connections go on.
    ///
    /// # Errors
    /// [`SteerError`].
    pub async fn rotate_client(&self, server: &ServerName, issuer: &str) -> Result<(), SteerError> {
        let client = self.known_client(server, issuer).await?;
        match client.detail.registered_by {
            RegisteredBy::Given => return Err(SteerError::Given),
            RegisteredBy::Cimd => return Err(SteerError::NoSecret),
            RegisteredBy::Dcr => {}
        }
        let secrets = self.secrets(&client)?;
        let (Some(uri), Some(token)) = (&client.detail.registration_uri, &secrets.registration_token) else {
            return Err(SteerError::NotManaged);
        };
        let upstream = self.upstream(server).ok_or(SteerError::NoSuchServer)?;
        let method = client.detail.method.unwrap_or(ClientAuthMethod::ClientSecretBasic);
        let mut metadata = self.presence.document();
        metadata["client_id"] = json!(client.client_id);
        metadata["token_endpoint_auth_method"] = json!(method.as_str());
        let request = Request::put(uri.as_str())
            .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Bytes::from(metadata.to_string()));
        let mut registered = sent(self.transport.as_ref(), uri, request).await?;
        registered.keep_what_is_not_told(&secrets, uri);
        let mut detail = client.detail.clone();
        detail.rotated_at = Some(self.clock.now());
        (detail.last_error, detail.last_error_at, detail.is_unknown) = (None, None, false);
        self.keep_registered(&upstream, issuer, registered, detail, method).await?;
        Ok(())
    }

    /// Registers anew. Refresh tokens belong to the client that got them, so
    /// connections of the old one are ended, which revokes them.
    ///
    /// # Errors
    /// [`SteerError`].
    pub async fn register_client_anew(
        self: &Arc<Self>,
        server: &ServerName,
        issuer: &str,
    ) -> Result<(), SteerError> {
        let upstream = self.upstream(server).ok_or(SteerError::NoSuchServer)?;
        let ServerAuth::OAuth(oauth) = &upstream.auth else { return Err(SteerError::NoSuchServer) };
        let client = self.known_client(server, issuer).await?;
        if client.detail.registered_by == RegisteredBy::Given {
            return Err(SteerError::Given);
        }
        let found = discover(self.transport.as_ref(), &upstream.url).await?;
        self.delete_client(server, issuer).await?;
        self.client(&upstream, oauth, &found, &client.detail.scopes).await?;
        Ok(())
    }

    /// Removes a client: every grant of it is revoked and erased, and the
    /// registration is deleted where it can be (RFC 7592 section 2.3).
    ///
    /// # Errors
    /// [`SteerError`].
    pub async fn delete_client(&self, server: &ServerName, issuer: &str) -> Result<usize, SteerError> {
        let client = self.known_client(server, issuer).await?;
        let mut ended = 0;
        for row in self.store.connections().list().await? {
            if row.server == *server && row.detail.issuer == issuer {
                ended += usize::from(self.disconnect(server, &row.owner).await?);
            }
        }
        let secrets = self.secrets(&client)?;
        if let (Some(uri), Some(token)) = (&client.detail.registration_uri, &secrets.registration_token) {
            let request = Request::delete(uri.as_str())
                .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
                .body(Bytes::new());
            if let Ok(request) = request
                && let Err(error) = self.transport.send(request).await
            {
                tracing::warn!(%server, issuer, %error, "a registration could not be deleted");
            }
        }
        self.store.upstream_clients().delete(server, issuer).await?;
        self.catch_up().await?;
        Ok(ended)
    }
}
