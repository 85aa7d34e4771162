//! The first steps of every request to an endpoint: which profile, who asks,
//! and one JSON-RPC message out of the body.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use trunkline_model::{Action, Caller, Decision, Principal, ProfileName, Reason, Timestamp};
use trunkline_oauth::resource::{Access, Refused};
use trunkline_profiles::{EffectiveProfile, RefusedRequest};
use trunkline_web::{RequestId, body};
use uuid::Uuid;

use super::answer::{self, RpcError};
use crate::Hub;
use crate::jsonrpc::{Message, code};

/// The profile that the path names.
#[derive(Debug)]
pub(crate) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    /// A segment that is no UTF-8 names no profile: it is refused as such.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(name.map_or_else(|_| parts.uri.path().to_owned(), |Path(name)| name)))
    }
}

/// A request whose profile and caller are known.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub hub: Arc<Hub>,
    pub profile: Arc<EffectiveProfile>,
    pub caller: Caller,
    pub request_id: Uuid,
    pub arrived: Timestamp,
    /// What the client calls the hub.
    pub host: Option<HeaderValue>,
}

/// Finds the profile and proves the caller. Nothing of the body is read
/// before that.
pub(crate) async fn enter(hub: &Arc<Hub>, name: &str, parts: &Parts) -> Result<Entry, Response> {
    let arrived = hub.clock.now();
    let request_id = parts.extensions.get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0);
    let stranger = Stranger { hub, request_id, arrived, method: parts.method.as_str() };
    let Some(profile) = hub.profile(name) else {
        let error = RpcError::new(code::INVALID_REQUEST, format!("there is no profile named {name:?} here"))
            .status(StatusCode::NOT_FOUND);
        return Err(stranger.refuse(None, Reason::NotInProfile, &error));
    };
    let access = Access { auth: profile.auth(), members: profile.members() };
    match hub.resource.authenticate(&parts.headers, profile.name(), access).await {
        Ok(caller) => {
            let host = parts.headers.get(header::HOST).cloned();
            Ok(Entry { hub: Arc::clone(hub), profile, caller, request_id, arrived, host })
        }
        Err(refused) => Err(stranger.challenge(profile.name(), refused, parts.headers.get(header::HOST))),
    }
}

/// Somebody who has not proved anything.
struct Stranger<'a> {
    hub: &'a Hub,
    request_id: Uuid,
    arrived: Timestamp,
    method: &'a str,
}

impl Stranger<'_> {
    fn challenge(&self, profile: &ProfileName, refused: Refused, host: Option<&HeaderValue>) -> Response {
        let error = RpcError::new(code::INVALID_REQUEST, refused.to_string()).status(refused.status());
        let mut response = self.refuse(Some(profile), refused.reason(), &error);
        let metadata = self.hub.resource_metadata(profile, host);
        if let Some(challenge) = refused.challenge(metadata.as_deref()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn refuse(&self, profile: Option<&ProfileName>, reason: Reason, error: &RpcError) -> Response {
        let refused = RefusedRequest {
            request_id: self.request_id,
            arrived: self.arrived,
            profile: profile.cloned(),
            caller: None,
            action: Action { method: self.method.to_owned(), server: None, target: None, shown_as: None },
            decision: Decision::deny(reason),
            detail: error.message.clone(),
            request_bytes: 0,
        };
        record(self.hub, refused, error, None)
    }
}

/// Writes a refusal to the trail, then answers with it.
fn record(hub: &Hub, refused: RefusedRequest, error: &RpcError, id: Option<&str>) -> Response {
    match hub.guard.refuse(refused) {
        Ok(()) => answer::json(error.status, error.body(id), None),
        Err(_) => answer::empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

impl Entry {
    /// Refuses a request whose caller is known.
    pub(crate) fn refuse(&self, message: Option<&Message>, error: &RpcError) -> Response {
        let principal: &Principal = self.caller.principal();
        let refused = RefusedRequest {
            request_id: self.request_id,
            arrived: self.arrived,
            profile: Some(self.profile.name().clone()),
            caller: Some(principal.clone()),
            action: Action {
                method: message.and_then(Message::method).unwrap_or("(unreadable)").to_owned(),
                server: None,
                target: None,
                shown_as: None,
            },
            decision: Decision::deny(Reason::BadRequest),
            detail: error.message.clone(),
            request_bytes: message.map_or(0, |message| message.bytes().len() as u64),
        };
        record(&self.hub, refused, error, message.and_then(Message::id))
    }

    /// Refuses an HTTP method; `allow` names those that the endpoint has.
    pub(crate) fn method_not_allowed(&self, allow: &'static str) -> Response {
        let error = bad(&format!("this endpoint takes {allow}"), StatusCode::METHOD_NOT_ALLOWED);
        let mut response = self.refuse(None, &error);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        response
    }

    /// Reads the one JSON-RPC message of a POST.
    pub(crate) async fn message(&self, headers: &HeaderMap, body: Body) -> Result<Message, Response> {
        if !is_json(headers) {
            let error = bad("the Content-Type must be application/json", StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return Err(self.refuse(None, &error));
        }
        let bytes: Bytes = match body::read(headers, body, self.hub.limits.request_bytes).await {
            Ok(bytes) => bytes,
            Err(fault) => {
                return Err(self.refuse(None, &bad(&fault.to_string(), fault.status())));
            }
        };
        match Message::parse(bytes) {
            Ok(message) => Ok(message),
            Err(fault) => {
                let error = RpcError::new(fault.code(), fault.to_string()).status(StatusCode::BAD_REQUEST);
                Err(self.refuse(None, &error))
            }
        }
    }
}

pub(crate) fn bad(message: &str, status: StatusCode) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, message).status(status)
}

/// One `Content-Type`, JSON, in UTF-8 if it says anything about that.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// What a client takes as the answer to a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub json: bool,
    pub stream: bool,
    /// Whether JSON may come compressed with gzip.
    pub gzip: bool,
}

/// What nearly all clients send.
const BOTH: &str = "application/json, text/event-stream";

/// Reads `Accept` and `Accept-Encoding` (RFC 9110 sections 12.5.1 and 12.5.3);
/// without the first everything is taken, without the second nothing compressed.
pub(crate) fn accepts(headers: &HeaderMap) -> Accepts {
    let gzip = takes_gzip(headers);
    if headers.get(header::ACCEPT).is_some_and(|value| value == BOTH) {
        return Accepts { json: true, stream: true, gzip };
    }
    let mut accepts = Accepts { json: false, stream: false, gzip };
    let mut any = false;
    for value in headers.get_all(header::ACCEPT).iter().filter_map(|value| HeaderValue::to_str(value).ok()) {
        for range in value.split(',') {
            any = true;
            let essence = range.split(';').next().unwrap_or_default().trim();
            let is = |wanted: &str| essence.eq_ignore_ascii_case(wanted);
            accepts.json |= is("application/json") || is("application/*") || is("*/*");
            accepts.stream |= is("text/event-stream") || is("text/*") || is("*/*");
        }
    }
    if any { accepts } else { Accepts { json: true, stream: true, ..accepts } }
}

/// Whether a client names gzip, and not to refuse it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn only_one_json_content_type_is_taken() {
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/json; charset=\"UTF-8\""]
        {
            assert!(is_json(&headers(&header::CONTENT_TYPE, &[good])), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=utf-16", "application/jsonp", ""] {
            assert!(!is_json(&headers(&header::CONTENT_TYPE, &[bad])), "{bad}");
        }
        assert!(!is_json(&headers(&header::CONTENT_TYPE, &["application/json", "text/plain"])));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn accept_is_read_as_ranges() {
        let of = |value: &str| {
            let accepts = accepts(&headers(&header::ACCEPT, &[value]));
            (accepts.json, accepts.stream)
        };
        assert_eq!(of("application/json, text/event-stream"), (true, true));
        assert_eq!(of("application/json"), (true, false));
        assert_eq!(of("*/*;q=0.1"), (true, true));
        assert_eq!(of("text/html"), (false, false));
        assert_eq!(accepts(&HeaderMap::new()), Accepts { json: true, stream: true, gzip: false });
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        let of = |value: &str| accepts(&headers(&header::ACCEPT_ENCODING, &[value])).gzip;
        for taken in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.2, *;q=0"] {
            assert!(of(taken), "{taken}");
        }
        for refused in ["", "identity", "gzip;q=0", "gzip; q=0.000", "br, deflate", "xgzip"] {
            assert!(!of(refused), "{refused}");
        }
    }
}
