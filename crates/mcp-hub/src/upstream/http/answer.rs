//! What a response to one request means.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE};
use serde::Deserialize;
use trunkline_web::egress::Response;
use url::Url;

use super::{EventStream, Failure, Wire};
use crate::jsonrpc::{Kind, Message};

/// The most that is read of a body that explains a refusal, in bytes.
const REFUSAL_BYTES: u64 = 64 << 10;
/// Longer parameters of a challenge are cut, in characters.
const LONGEST_PARAMETER: usize = 200;

/// What the server answers a request with.
#[derive(Debug)]
pub(super) enum Answer {
    Message(Message),
    /// The answer comes as an event of this stream.
    Stream(Box<EventStream>),
}

impl Wire {
    /// Reads the response to the request `id`.
    pub(super) async fn read(&self, id: u64, response: Response) -> Result<Answer, Failure> {
        if !response.status().is_success() {
            return Box::pin(self.read_refusal(id, response)).await;
        }
        match MediaType::of(response.headers()) {
            MediaType::Json => {
                let body = response.bytes(self.message_limit as u64).await?;
                let message = Message::parse_shallow(body)
                    .map_err(|fault| Failure::NotMcp { reason: fault.to_string() })?;
                answer_to(id, message).map(Answer::Message)
            }
            MediaType::EventStream => {
                Ok(Answer::Stream(Box::new(EventStream::new(response, self.message_limit))))
            }
            MediaType::Other => Err(Failure::unexpected(&response)),
        }
    }

    /// An error answer in the body of a refusal is an answer (2026-07-28,
    /// basic: HTTP 400 and 404 carry JSON-RPC errors); all else is a failure.
    async fn read_refusal(&self, id: u64, response: Response) -> Result<Answer, Failure> {
        match self.refusal(response).await {
            Failure::Status { error: Some(error), .. } if error.numeric_id() == Some(id) => {
                Ok(Answer::Message(*error))
            }
            failure => Err(failure),
        }
    }

    /// What a response that is no success says.
    pub(in crate::upstream) async fn refusal(&self, response: Response) -> Failure {
        let status = response.status();
        if status.is_redirection() {
            return Failure::Redirected { status, target: redirect_target(response.headers()) };
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Failure::SignIn { reason: challenge(status, response.headers()), link: self.link() };
        }
        if status == StatusCode::NOT_FOUND && self.has_session() {
            return Failure::SessionLost;
        }
        let media_type = media_type(response.headers()).to_owned();
        let error = match MediaType::of(response.headers()) {
            MediaType::Json => response.bytes(REFUSAL_BYTES).await.ok().and_then(error_in).map(Box::new),
            MediaType::EventStream | MediaType::Other => None,
        };
        if status == StatusCode::BAD_REQUEST
            && self.has_session()
            && error.as_deref().is_some_and(names_session)
        {
            return Failure::SessionLost;
        }
        Failure::Status { status, media_type, error }
    }
}

/// `message` when it is the answer to the request `id`.
pub(super) fn answer_to(id: u64, message: Message) -> Result<Message, Failure> {
    let reason = match message.kind() {
        Kind::Result | Kind::Error if message.numeric_id() == Some(id) => return Ok(message),
        Kind::Result | Kind::Error => "the answer carries the id of another request",
        Kind::Request | Kind::Notification => "the body is a request or notification instead of an answer",
    };
    Err(Failure::NotMcp { reason: reason.to_owned() })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum MediaType {
    Json,
    EventStream,
    Other,
}

impl MediaType {
    pub(in crate::upstream) fn of(headers: &HeaderMap) -> Self {
        let essence = media_type(headers);
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(trunkline_web::sse::MEDIA_TYPE) {
            Self::EventStream
        } else {
            Self::Other
        }
    }
}

/// The content type without its parameters; empty when there is none.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn error_in(body: Bytes) -> Option<Message> {
    Message::parse_shallow(body).ok().filter(|message| message.kind() == Kind::Error)
}

/// Whether a legacy error is about the session: several servers answer an
/// unknown session with HTTP 400 and -32000 instead of HTTP 404.
fn names_session(error: &Message) -> bool {
    #[derive(Deserialize)]
    struct ErrorObject {
        code: i64,
        message: String,
    }
    let object: Option<ErrorObject> = error.payload().and_then(|payload| serde_json::from_str(payload).ok());
    object.is_some_and(|object| {
        object.code == -32000 && object.message.to_ascii_lowercase().contains("session")
    })
}

/// Where a redirect points, without path and query: they may hold secrets.
fn redirect_target(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Url::parse(location) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "another path".to_owned(),
    }
}

/// What a refusal asks for, in words (RFC 6750 section 3, RFC 9728 section 5.1).
fn challenge(status: StatusCode, headers: &HeaderMap) -> String {
    let mut reason = match status {
        StatusCode::FORBIDDEN => "it refuses the credential (HTTP 403)".to_owned(),
        _ => "it asks for a credential (HTTP 401)".to_owned(),
    };
    let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(scope) = parameter(challenge, "scope") {
        reason.push_str("; scope: ");
        reason.push_str(&scope);
    }
    let metadata = parameter(challenge, "resource_metadata").and_then(|url| Url::parse(&url).ok());
    if let Some(host) = metadata.as_ref().and_then(Url::host_str) {
        reason.push_str("; described by ");
        reason.push_str(host);
    }
    reason
}

/// The quoted value of one parameter of a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some(position) = rest.find(name) {
        let starts_a_name = rest[..position].ends_with([' ', ',']);
        let after = &rest[position + name.len()..];
        if starts_a_name && let Some(value) = after.trim_start().strip_prefix('=') {
            let value = value.trim_start().strip_prefix('"')?;
            return Some(value.split('"').next()?.chars().take(LONGEST_PARAMETER).collect());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_challenge_is_told_in_words_without_its_urls_path() {
        let headers: HeaderMap = [(
            WWW_AUTHENTICATE,
            HeaderValue::from_static(
                r#"Bearer error="invalid_token", resource_metadata="https://as.example/x?key=1", scope="read write""#,
            ),
        )]
        .into_iter()
        .collect();
        assert_eq!(
            challenge(StatusCode::UNAUTHORIZED, &headers),
            "it asks for a credential (HTTP 401); scope: read write; described by as.example"
        );
        assert_eq!(
            challenge(StatusCode::FORBIDDEN, &HeaderMap::new()),
            "it refuses the credential (HTTP 403)"
        );
        assert_eq!(parameter(r#"Bearer xscope="a", scope = "b""#, "scope").as_deref(), Some("b"));
        assert_eq!(parameter("Bearer scope", "scope"), None);
    }

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        let of =
            |value| MediaType::of(&[(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect());
        assert_eq!(of("Application/JSON; charset=utf-8"), MediaType::Json);
        assert_eq!(of("text/event-stream;charset=utf-8"), MediaType::EventStream);
        assert_eq!(of("application/jsonx"), MediaType::Other);
        assert_eq!(MediaType::of(&HeaderMap::new()), MediaType::Other);
    }
}
