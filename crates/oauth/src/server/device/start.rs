//! `POST /oauth/device` (RFC 8628 section 3.1).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use serde::Serialize;
use trunkline_storage::authorization::{Device, DeviceState};
use trunkline_web::Peer;

use super::user_code;
use crate::keys;
use crate::server::AuthorizationServer;
use crate::server::client_metadata::DEVICE_CODE;
use crate::server::form::Form;
use crate::server::register::address;
use crate::server::token::{TokenError, read_form};

/// How long a code waits.
const LIFETIME: Duration = Duration::from_mins(10);
/// Seconds between two questions of a device.
const INTERVAL: u64 = 5;
/// Devices that wait at the same time: with fewer codes in use, fewer guesses hit.
const MOST_PENDING: u64 = 1000;

/// RFC 8628 section 3.2.
#[derive(Debug, Serialize)]
struct Started {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

pub(in crate::server) async fn handle(
    State(server): State<Arc<AuthorizationServer>>,
    peer: Peer,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let form = match read_form(&parts.headers, body).await {
        Ok(form) => form,
        Err(fault) => return TokenError::from(fault).into_response(),
    };
    match server.start_device(peer, &parts.headers, &form).await {
        Ok(started) => Json(started).into_response(),
        Err(error) => error.into_response(),
    }
}

impl AuthorizationServer {
    async fn start_device(
        &self,
        peer: Peer,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Started, TokenError> {
        let client = self.authenticate_client(headers, form).await?;
        if !client.metadata.has_grant_type(DEVICE_CODE) {
            return Err(TokenError::UnauthorizedClient);
        }
        let target = self.target_of(form.get("resource"), &client).ok_or(TokenError::Target)?;
        let now = self.clock.now();
        let too_many = self.store.devices().count_pending(now).await? >= MOST_PENDING;
        if too_many || !self.device_starts.take(&address(peer), now) {
            return Err(TokenError::SlowDown);
        }
        let (minted, code) = {
            let mut random = rand::rng();
            (keys::Form::DEVICE.mint(&mut random), user_code::mint(&mut random))
        };
        let device = Device {
            hash: minted.hash,
            // It is of our own alphabet.
            user_code_hash: user_code::hash(&code).ok_or(TokenError::SlowDown)?,
            grant: self.new_grant_id(),
            client: client.id().to_owned(),
            scope: self.scopes_of(&target).granted(form.get("scope").unwrap_or_default()),
            target,
            state: DeviceState::Pending,
            expires_at: now.plus(LIFETIME),
            polled_at: None,
        };
        self.store.devices().insert(&device).await?;
        let page = format!("{}/device", self.issuer(headers));
        Ok(Started {
            device_code: minted.key.expose().to_owned(),
            verification_uri_complete: format!("{page}?user_code={code}"),
            verification_uri: page,
            user_code: code,
            expires_in: LIFETIME.as_secs(),
            interval: INTERVAL,
        })
    }
}
