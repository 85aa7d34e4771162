//! `/device`: a user types the code of a device and allows it (RFC 8628
//! section 3.3). The code alone allows nothing: the user is shown what it
//! would allow, and asked (section 5.4).

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::response::{Redirect, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use trunkline_model::ClientKind;
use trunkline_storage::authorization::{Device, DeviceState};

use super::user_code;
use crate::login::SignedIn;
use crate::page::{self, Notice};
use crate::server::AuthorizationServer;
use crate::server::form::Form;
use crate::server::pages::{DeviceCodePage, DeviceConsentPage, administers_as};
use crate::server::token::read_form;

/// What the page carries on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    /// No code has been typed.
    Ask,
    /// This one has, and it is some device's.
    Confirm { code: String },
}

/// Where the flow goes on, or why it does not.
enum Fault {
    WrongCode,
    TooOften,
    Over,
    NotAMember,
    Unavailable,
}

pub(in crate::server) async fn show(
    State(server): State<Arc<AuthorizationServer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let response = match server.sessions.signed_in(&headers) {
        None => server.sign_in_and_return("/device", &query),
        Some(signed_in) => {
            let form = Form::parse(query.as_bytes()).unwrap_or_default();
            server.ask_for_code(&signed_in, form.get("user_code").unwrap_or_default(), None)
        }
    };
    std::future::ready(response).await
}

/// `GET /oauth/device`: a person who took the devices' endpoint for this page.
pub(in crate::server) async fn elsewhere() -> Redirect {
    std::future::ready(Redirect::to("/device")).await
}

pub(in crate::server) async fn answer(
    State(server): State<Arc<AuthorizationServer>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(form) = read_form(&parts.headers, body).await else { return Fault::Over.page() };
    let Some(signed_in) = server.sessions.signed_in(&parts.headers) else { return Fault::Over.page() };
    let transaction = form.get("transaction").unwrap_or_default();
    let Some(step) = server.carried::<Step>("device", signed_in.session, transaction) else {
        return Fault::Over.page();
    };
    let outcome = match (step, form.get("decision")) {
        (Step::Ask, Some("look")) => {
            server.look_at(&signed_in, form.get("user_code").unwrap_or_default()).await
        }
        (Step::Confirm { code }, Some("allow")) => server.decide(&signed_in, &code, true).await,
        (Step::Confirm { code }, Some("deny")) => server.decide(&signed_in, &code, false).await,
        _ => Err(Fault::Over),
    };
    match outcome {
        Ok(response) => response,
        Err(Fault::WrongCode) => server.ask_for_code(
            &signed_in,
            "",
            Some("No device waits under this code. It may have expired; start again on the device."),
        ),
        Err(fault) => fault.page(),
    }
}

impl AuthorizationServer {
    fn ask_for_code(&self, signed_in: &SignedIn, code: &str, fault: Option<&'static str>) -> Response {
        let Ok(transaction) = self.carry("device", signed_in.session, Step::Ask) else {
            return Fault::Unavailable.page();
        };
        let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect();
        let template = DeviceCodePage { code, fault, user: signed_in.user.login.clone(), transaction };
        page::page(if fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, &template)
    }

    /// Shows what the code would allow.
    async fn look_at(&self, signed_in: &SignedIn, typed: &str) -> Result<Response, Fault> {
        let device = self.waiting_device(signed_in, typed).await?;
        let client = self.client(&device.client).await.map_err(|_| Fault::WrongCode)?;
        let step = Step::Confirm { code: typed.to_owned() };
        let transaction = self.carry("device", signed_in.session, step).map_err(|_| Fault::Unavailable)?;
        let template = DeviceConsentPage {
            client: client.name().to_owned(),
            is_verified: client.stored.kind == ClientKind::Registered,
            code: typed.to_uppercase(),
            scopes: self.scopes_of(&device.target).described(&device.scope),
            administers_as: administers_as(&device.target, signed_in),
            resource: device.target.to_string(),
            user: signed_in.user.login.clone(),
            transaction,
        };
        Ok(page::page(StatusCode::OK, &template))
    }

    async fn decide(&self, signed_in: &SignedIn, code: &str, allowed: bool) -> Result<Response, Fault> {
        let device = self.waiting_device(signed_in, code).await?;
        let now = self.clock.now();
        let decided =
            self.store.devices().decide(&device.user_code_hash, signed_in.user.id, allowed, now).await;
        if !decided.map_err(|error| unavailable(&error))? {
            return Err(Fault::WrongCode);
        }
        tracing::info!(user = signed_in.user.login, client = device.client, resource = %device.target, allowed, "a user answered a device");
        let (title, text) = if allowed {
            (
                "The device is signed in",
                "You can go back to it. An operator of this hub can revoke its access.",
            )
        } else {
            ("The device is not signed in", "It has been told that you said no.")
        };
        Ok(page::page(StatusCode::OK, &Notice { title: title.to_owned(), text: text.to_owned(), link: None }))
    }

    /// The device that waits under a code, for a user who may use its profile.
    async fn waiting_device(&self, signed_in: &SignedIn, typed: &str) -> Result<Device, Fault> {
        let now = self.clock.now();
        if !self.device_tries.take(&signed_in.user.id.to_string(), now) {
            return Err(Fault::TooOften);
        }
        let hash = user_code::hash(typed).ok_or(Fault::WrongCode)?;
        let device =
            self.store.devices().find_by_user_code(&hash).await.map_err(|error| unavailable(&error))?;
        let device = device
            .filter(|device| device.state == DeviceState::Pending && now < device.expires_at)
            .ok_or(Fault::WrongCode)?;
        if self.admits(signed_in.user.id, &device.target) { Ok(device) } else { Err(Fault::NotAMember) }
    }
}

fn unavailable(error: &trunkline_storage::StoreError) -> Fault {
    tracing::error!(%error, "a device could not be looked up");
    Fault::Unavailable
}

impl Fault {
    fn page(&self) -> Response {
        let (status, title, text) = match self {
            Self::WrongCode | Self::Over => (
                StatusCode::FORBIDDEN,
                "This question is no longer open",
                "It was asked too long ago, or in another browser session. Open the page again.",
            ),
            Self::TooOften => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many codes",
                "You have tried too many codes. Wait for an hour.",
            ),
            Self::NotAMember => (
                StatusCode::FORBIDDEN,
                "You may not use this profile",
                "You are not a member of the profile that the device asks for. Ask an administrator of the hub.",
            ),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "This hub cannot answer now", "Try again later.")
            }
        };
        page::page(status, &Notice { title: title.to_owned(), text: text.to_owned(), link: None })
    }
}
