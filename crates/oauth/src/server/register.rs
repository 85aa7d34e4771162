//! `POST /oauth/register`: a client registers itself (RFC 7591).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rand::Rng as _;
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;
use trunkline_model::{ClientKind, OauthClient, Secret, Timestamp};
use trunkline_storage::StoreError;
use trunkline_web::{Peer, body};
use uuid::Uuid;

use super::AuthorizationServer;
use super::client_metadata::{AuthMethod, ClientMetadata, MetadataFault};
use crate::keys::Form;

/// Bytes of a registration.
pub(super) const LARGEST: usize = 64 * 1024;
/// Clients that registered themselves, in all.
const MOST_CLIENTS: u64 = 20_000;

/// Why a registration is not taken.
#[derive(Debug, Error)]
pub(super) enum RegistrationError {
    #[error("{0}")]
    Redirect(MetadataFault),
    #[error("{0}")]
    Metadata(String),
    #[error("this hub registers no clients; ask its operator for a client id")]
    Off,
    #[error("too many clients have registered from this address; try again in an hour")]
    TooOften,
    #[error("this hub has as many registered clients as it takes; ask its operator")]
    Full,
    #[error("the hub cannot register a client now; try again later")]
    Unavailable(#[from] StoreError),
}

/// RFC 7591 section 3.2.1.
#[derive(Debug, Serialize)]
pub(super) struct Registered {
    client_id: String,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// Zero: it does not expire by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_access_token: Option<String>,
    registration_client_uri: String,
    #[serde(flatten)]
    metadata: ClientMetadata,
}

impl Registered {
    pub(super) fn new(
        client: &OauthClient,
        metadata: ClientMetadata,
        secret: Option<&Secret>,
        registration: Option<&Secret>,
        issuer: &str,
    ) -> Self {
        let seconds = |at: Timestamp| at.as_micros().div_euclid(1_000_000);
        Self {
            registration_client_uri: format!("{issuer}/oauth/register/{}", client.id),
            client_id: client.id.clone(),
            client_id_issued_at: seconds(client.created_at),
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            client_secret_expires_at: client.secret_hash.map(|_| 0),
            registration_access_token: registration.map(|token| token.expose().to_owned()),
            metadata,
        }
    }
}

pub(super) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    peer: Peer,
    request: Request,
) -> Response {
    match server.register(peer, request).await {
        Ok(registered) => (StatusCode::CREATED, Json(registered)).into_response(),
        Err(error) => error.into_response(),
    }
}

impl AuthorizationServer {
    async fn register(&self, peer: Peer, request: Request) -> Result<Registered, RegistrationError> {
        let (parts, body) = request.into_parts();
        let (now, address) = (self.clock.now(), address(peer));
        if let Some(refused) = self.refusal(&address) {
            body::discard_unread(&parts.headers, body).await;
            return Err(refused);
        }
        let metadata = read_metadata(&parts.headers, body).await?.checked()?;
        if self.store.clients().count(ClientKind::Dynamic).await? >= MOST_CLIENTS {
            return Err(RegistrationError::Full);
        }
        let (id, secret, registration) = new_secrets(&metadata, now);
        let client = OauthClient {
            id,
            kind: ClientKind::Dynamic,
            name: metadata.client_name.clone().unwrap_or_default(),
            metadata: serde_json::to_string(&metadata).unwrap_or_default(),
            secret_hash: secret.as_ref().map(|secret| crate::keys::hash(secret.expose())),
            previous_secret: None,
            secret_at: None,
            registration_hash: Some(registration.hash),
            service_user: None,
            registered_from: address,
            created_at: now,
            used_at: None,
            blocked_at: None,
        };
        self.store.clients().insert(&client).await?;
        tracing::info!(
            client = client.id,
            name = client.name,
            from = client.registered_from,
            "an OAuth client registered itself"
        );
        Ok(Registered::new(
            &client,
            metadata,
            secret.as_ref(),
            Some(&registration.key),
            self.issuer(&parts.headers),
        ))
    }

    /// Why nobody registers from this address now, if so.
    fn refusal(&self, address: &str) -> Option<RegistrationError> {
        if !self.settings.load().registration {
            return Some(RegistrationError::Off);
        }
        let may = self.registrations.take(address, self.clock.now());
        (!may).then_some(RegistrationError::TooOften)
    }
}

fn new_secrets(metadata: &ClientMetadata, now: Timestamp) -> (String, Option<Secret>, crate::keys::Minted) {
    let mut random = rand::rng();
    let mut bytes = [0; 10];
    random.fill_bytes(&mut bytes);
    let milliseconds = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    let id: Uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid();
    let has_secret =
        matches!(metadata.auth_method(), AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
    let secret = has_secret.then(|| Form::CLIENT_SECRET.mint(&mut random).key);
    (format!("client_{}", id.simple()), secret, Form::REGISTRATION.mint(&mut random))
}

pub(super) async fn read_metadata(
    headers: &http::HeaderMap,
    body: Body,
) -> Result<ClientMetadata, RegistrationError> {
    let bytes = body::read(headers, body, LARGEST)
        .await
        .map_err(|error| RegistrationError::Metadata(error.to_string()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|_| RegistrationError::Metadata("the body is not JSON".to_owned()))?;
    if value.get("software_statement").is_some() {
        let words = "software_statement: this hub trusts none";
        return Err(RegistrationError::Metadata(words.to_owned()));
    }
    serde_json::from_value(value).map_err(|error| {
        // Serde's words may quote what a stranger sent: they are cut and cleaned.
        let words: String = error.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        RegistrationError::Metadata(words)
    })
}

pub(super) fn address(peer: Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.ip().to_string(),
        Peer::Local => "this machine".to_owned(),
    }
}

impl From<MetadataFault> for RegistrationError {
    fn from(fault: MetadataFault) -> Self {
        match fault {
            MetadataFault::Redirect(_) | MetadataFault::RedirectCount => Self::Redirect(fault),
            MetadataFault::Other(words) => Self::Metadata(words.to_owned()),
        }
    }
}

impl IntoResponse for RegistrationError {
    /// RFC 7591 section 3.2.2.
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::Redirect(_) => (StatusCode::BAD_REQUEST, "invalid_redirect_uri"),
            Self::Metadata(_) => (StatusCode::BAD_REQUEST, "invalid_client_metadata"),
            Self::Off => (StatusCode::FORBIDDEN, "access_denied"),
            Self::TooOften => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Unavailable(error) => {
                tracing::error!(%error, "a client could not register");
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
        };
        (status, Json(json!({ "error": code, "error_description": self.to_string() }))).into_response()
    }
}
