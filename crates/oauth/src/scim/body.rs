//! JSON in and out: `application/scim+json` (RFC 7644 section 3.1).

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value};
use trunkline_web::body;

use super::error::ScimError;

/// The largest request taken, in bytes: a group with some thousands of members.
const LARGEST: usize = 1024 * 1024;

/// The object that a request carries.
#[derive(Debug)]
pub(super) struct Document(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = ScimError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ScimError> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body, LARGEST).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| ScimError::InvalidSyntax)
    }
}

pub(super) fn scim_json(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/scim+json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

/// The member with this name, whatever its case (RFC 7643 section 2.1).
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The key under which `name` stands, whatever its case; `name` where it does not.
pub(super) fn key_of(object: &Map<String, Value>, name: &str) -> String {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).map_or_else(|| name.to_owned(), Clone::clone)
}

/// A boolean, also as Entra writes one: `"True"`.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
