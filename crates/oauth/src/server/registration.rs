//! `/oauth/register/{client}`: a client reads, replaces and deletes its own
//! registration (RFC 7592).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq as _;
use trunkline_model::OauthClient;
use trunkline_storage::StoreError;

use super::AuthorizationServer;
use super::client_metadata::{AuthMethod, ClientMetadata};
use super::register::{Registered, RegistrationError, read_metadata};
use crate::keys::Form;

/// Why a registration is not shown or changed.
pub(super) enum ManagementError {
    /// No such client, or not its token: which of them is nobody's business
    /// (RFC 7592 section 2.1).
    Unauthorized,
    Registration(RegistrationError),
}

impl From<StoreError> for ManagementError {
    fn from(error: StoreError) -> Self {
        Self::Registration(RegistrationError::Unavailable(error))
    }
}

impl IntoResponse for ManagementError {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
                (StatusCode::UNAUTHORIZED, challenge).into_response()
            }
            Self::Registration(error) => error.into_response(),
        }
    }
}

type Shared = State<Arc<AuthorizationServer>>;

pub(super) async fn read(
    State(server): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Registered>, ManagementError> {
    let client = server.own_registration(&id, &headers).await?;
    let metadata = metadata_of(&client)?;
    Ok(Json(Registered::new(&client, metadata, None, None, server.issuer(&headers))))
}

/// What is absent is not kept (RFC 7592 section 2.2).
pub(super) async fn replace(
    State(server): Shared,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Registered>, ManagementError> {
    let (parts, body) = request.into_parts();
    let mut client = server.own_registration(&id, &parts.headers).await?;
    let metadata = read_metadata(&parts.headers, body).await.map_err(ManagementError::Registration)?;
    let metadata = metadata.checked().map_err(|fault| ManagementError::Registration(fault.into()))?;
    let wants_secret =
        matches!(metadata.auth_method(), AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost);
    let secret =
        (wants_secret && client.secret_hash.is_none()).then(|| Form::CLIENT_SECRET.mint(&mut rand::rng()));
    if let Some(minted) = &secret {
        client.secret_hash = Some(minted.hash);
    } else if !wants_secret {
        client.secret_hash = None;
        client.previous_secret = None;
    }
    client.name = metadata.client_name.clone().unwrap_or_default();
    client.metadata = serde_json::to_string(&metadata).unwrap_or_default();
    // A consent is for what the user saw: with other redirects the users are asked again,
    // because consents are kept by redirect.
    server.store.clients().update(&client).await?;
    let secret = secret.map(|minted| minted.key);
    Ok(Json(Registered::new(&client, metadata, secret.as_ref(), None, server.issuer(&parts.headers))))
}

pub(super) async fn delete(
    State(server): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ManagementError> {
    let client = server.own_registration(&id, &headers).await?;
    server.store.clients().delete(&client.id, server.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl AuthorizationServer {
    async fn own_registration(&self, id: &str, headers: &HeaderMap) -> Result<OauthClient, ManagementError> {
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            text.and_then(|text| text.strip_prefix("Bearer ")).ok_or(ManagementError::Unauthorized)?;
        let hash = Form::REGISTRATION.hash_if_well_formed(token).ok_or(ManagementError::Unauthorized)?;
        let client = self.store.clients().find(id).await?.ok_or(ManagementError::Unauthorized)?;
        let is_own = client.registration_hash.is_some_and(|own| own.0.ct_eq(&hash.0).into());
        if is_own && client.blocked_at.is_none() { Ok(client) } else { Err(ManagementError::Unauthorized) }
    }
}

fn metadata_of(client: &OauthClient) -> Result<ClientMetadata, StoreError> {
    serde_json::from_str(&client.metadata).map_err(|error| StoreError::Damaged {
        what: "an OAuth client",
        detail: format!("{}: {error}", client.id),
    })
}
