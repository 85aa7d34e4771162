//! `POST /oauth/token` (RFC 6749 section 3.2): a client gets its tokens.

mod authorization_code;
mod client_credentials;
mod device_code;
mod error;
mod jwt_bearer;
mod refresh_token;
mod token_exchange;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use trunkline_web::body;

use super::AuthorizationServer;
use super::client::Client;
use super::client_metadata::DEVICE_CODE;
use super::form::{self, Form, FormFault};
use super::issue::Issued;

pub(super) use error::{TokenError, client_auth_response};

pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) async fn handle(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = match read_form(&parts.headers, body).await {
        Ok(form) => form,
        Err(fault) => return TokenError::from(fault).into_response(),
    };
    match Box::pin(server.token(&parts.headers, &form)).await {
        Ok(issued) => Json(issued).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The body of a request for a token, or about one.
pub(super) async fn read_form(headers: &HeaderMap, body: axum::body::Body) -> Result<Form, FormFault> {
    let bytes = body::read(headers, body, form::LONGEST).await.map_err(|_| FormFault::TooLong)?;
    Form::parse(&bytes)
}

impl AuthorizationServer {
    async fn token(&self, headers: &HeaderMap, form: &Form) -> Result<Issued, TokenError> {
        let client = self.authenticate_client(headers, form).await?;
        let issued = match form.get("grant_type") {
            None => return Err(TokenError::Missing("grant_type")),
            Some("authorization_code") => self.redeem_code(&client, form).await,
            Some("refresh_token") => self.refresh(&client, form).await,
            Some("client_credentials") => self.client_credentials(&client, form).await,
            Some(DEVICE_CODE) => self.redeem_device_code(&client, form).await,
            Some(TOKEN_EXCHANGE) => self.exchange(&client, form).await,
            Some(JWT_BEARER) => Box::pin(self.take_assertion(&client, form)).await,
            Some(_) => Err(TokenError::UnsupportedGrantType),
        }?;
        if let Err(error) = self.store.clients().used(client.id(), self.clock.now()).await {
            tracing::warn!(%error, client = client.id(), "the use of a client is not noted");
        }
        Ok(issued)
    }
}

/// Whether the client has registered this grant type.
fn require_grant_type(client: &Client, wanted: &'static str) -> Result<(), TokenError> {
    if client.metadata.has_grant_type(wanted) { Ok(()) } else { Err(TokenError::UnauthorizedClient) }
}

fn required<'a>(form: &'a Form, name: &'static str) -> Result<&'a str, TokenError> {
    form.get(name).ok_or(TokenError::Missing(name))
}
