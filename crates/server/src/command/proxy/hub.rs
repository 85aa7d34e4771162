//! The hub's side: HTTP requests that carry the client's messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use trunkline_web::egress::Response;
use trunkline_web::{Egress, EgressError, sse};

use super::Endpoint;
use super::answer::Messages;
use super::envelope::{Request, answers};
use super::failure::{Failure, detail_of};
use super::modern::Modern;
use super::session::Session;
use crate::json_lines::Outbox;

/// How long a notification may take; nothing passes it meanwhile.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end of a session may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to open the stream of messages that answer nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The largest refusal that is read, in bytes.
const LARGEST_REFUSAL: u64 = 64 * 1024;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BOTH_FORMS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Debug)]
pub(super) struct Hub {
    endpoint: Arc<Endpoint>,
    egress: Egress,
    outbox: Outbox,
    session: watch::Sender<Session>,
    /// Held by whoever begins a forgotten session anew.
    renewing: Mutex<()>,
}

/// What a POST carries besides the message.
#[derive(Debug, Clone, Copy)]
enum Carried<'a> {
    Nothing,
    Session,
    Metadata(&'a Modern),
}

impl Hub {
    pub(super) fn new(endpoint: Arc<Endpoint>, egress: Egress, outbox: Outbox) -> Self {
        Self { endpoint, egress, outbox, session: watch::Sender::default(), renewing: Mutex::default() }
    }

    /// Gives the client one line. A client that is gone needs nothing any more.
    pub(super) async fn give(&self, line: Vec<u8>) {
        let _ = self.outbox.send(line).await;
    }

    /// Asks the hub and gives the client every message of the answer, or an error in its place.
    pub(super) async fn ask(&self, request: &Request, body: &Bytes) {
        if let Err(failure) = self.exchange(request, body).await {
            self.give(failure.to_message(&request.id)).await;
        }
    }

    async fn exchange(&self, request: &Request, body: &Bytes) -> Result<(), Failure> {
        let begins = request.method == "initialize" && request.modern.is_none();
        let carried = match &request.modern {
            Some(modern) => Carried::Metadata(modern),
            None if begins => Carried::Nothing,
            None => Carried::Session,
        };
        let response = self.post(body, carried).await?;
        let status = response.status();
        if !status.is_success() {
            return self.pass_on_refusal(response, &request.id).await;
        }
        let headers = response.headers().clone();
        let mut messages = Messages::of(response);
        let mut answered = false;
        loop {
            match messages.next().await {
                Ok(Some(message)) => {
                    if !answered && answers(&message, &request.id) {
                        answered = true;
                        // The client's next message must find the session.
                        let opened =
                            if begins { Session::opened(body.clone(), &headers, &message) } else { None };
                        if let Some(session) = opened {
                            self.session.send_replace(session);
                        }
                    }
                    self.give(message).await;
                }
                _ if answered => return Ok(()),
                Ok(None) if status == StatusCode::OK => return Err(Failure::Unanswered),
                Ok(None) => return Err(Failure::NoContent(status)),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// A refusal that is an answer of MCP stays one; every other becomes a [`Failure`].
    async fn pass_on_refusal(&self, response: Response, id: &Value) -> Result<(), Failure> {
        let status = response.status();
        let body = response.bytes(LARGEST_REFUSAL).await.unwrap_or_default();
        if status != StatusCode::UNAUTHORIZED
            && let Some(answer) = json_rpc_error(&body, id)
        {
            self.give(answer).await;
            return Ok(());
        }
        Err(self.refused(status, &body))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        Failure::Refused {
            status,
            detail: detail_of(body),
            key_env: self.endpoint.key_env.clone(),
            with_key: self.endpoint.headers.contains_key(header::AUTHORIZATION),
        }
    }

    /// Passes on a message that has no answer; what comes back all the same is given to the client.
    pub(super) async fn tell(&self, body: &Bytes) {
        let telling = async {
            let response = self.post(body, Carried::Session).await?;
            if !response.status().is_success() {
                let status = response.status();
                let body = response.bytes(LARGEST_REFUSAL).await.unwrap_or_default();
                return Err(self.refused(status, &body));
            }
            let mut messages = Messages::of(response);
            while let Some(message) = messages.next().await? {
                self.give(message).await;
            }
            Ok(())
        };
        match tokio::time::timeout(NOTIFICATION_TIMEOUT, telling).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "a message without an answer was not delivered"),
            Err(_) => tracing::warn!("a message without an answer was not delivered in time"),
        }
    }

    /// Sends one message; begins the session anew when the hub has forgotten it, which
    /// is what 404 says to a request with a session (revision 2025-11-25, session management).
    async fn post(&self, body: &Bytes, carried: Carried<'_>) -> Result<Response, Failure> {
        let session = self.session.borrow().clone();
        let response = self.post_once(body, carried, &session).await?;
        let forgotten = response.status() == StatusCode::NOT_FOUND
            && matches!(carried, Carried::Session)
            && session.id.is_some();
        if !forgotten {
            return Ok(response);
        }
        match self.renewed(&session).await {
            Some(session) => Ok(self.post_once(body, carried, &session).await?),
            None => Ok(response),
        }
    }

    async fn post_once(
        &self,
        body: &Bytes,
        carried: Carried<'_>,
        session: &Session,
    ) -> Result<Response, EgressError> {
        let mut headers = self.endpoint.headers.clone();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, BOTH_FORMS);
        match carried {
            Carried::Nothing => {}
            Carried::Session => session.add_to(&mut headers),
            Carried::Metadata(modern) => modern.add_to(&mut headers),
        }
        self.egress.request(Method::POST, &self.endpoint.target, headers, Some(body.clone())).await
    }

    /// A new session in the place of `forgotten`; none when the hub does not give one.
    async fn renewed(&self, forgotten: &Session) -> Option<Session> {
        let _renewing = self.renewing.lock().await;
        let current = self.session.borrow().clone();
        if current.id != forgotten.id {
            return Some(current);
        }
        let initialize = forgotten.initialize.clone()?;
        let id = serde_json::from_slice::<Value>(&initialize).ok()?.get("id")?.clone();
        let response = self.post_once(&initialize, Carried::Nothing, forgotten).await.ok()?;
        let headers = response.headers().clone();
        let mut messages = Messages::of(response);
        let session = loop {
            let message = messages.next().await.ok()??;
            if answers(&message, &id) {
                break Session::opened(initialize, &headers, &message)?;
            }
        };
        let initialized = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.post_once(&initialized, Carried::Session, &session).await.ok()?;
        self.session.send_replace(session.clone());
        Some(session)
    }

    /// Gives the client what the hub says unasked, for as long as the hub offers that.
    pub(super) async fn listen(&self) {
        let mut sessions = self.session.subscribe();
        let mut pause = FIRST_PAUSE;
        let mut last_event_id = None;
        loop {
            let session = sessions.borrow_and_update().clone();
            match self.open_stream(&session, last_event_id.as_deref()).await {
                Ok(response) if response.status().is_success() => {
                    let (heard, resume_at, wanted_pause) = self.give_all(response).await;
                    last_event_id = resume_at.or(last_event_id);
                    pause = if heard { FIRST_PAUSE } else { pause };
                    pause = wanted_pause.unwrap_or(pause).min(LONGEST_PAUSE);
                }
                // The next request finds out the same and begins a new session.
                Ok(response) if response.status() == StatusCode::NOT_FOUND && session.id.is_some() => {
                    last_event_id = None;
                    if sessions.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                // What came meanwhile is no longer kept, or was another session's.
                Ok(response) if response.status() == StatusCode::BAD_REQUEST && last_event_id.is_some() => {
                    last_event_id = None;
                    continue;
                }
                // 405: this hub has nothing to say unasked.
                Ok(response) if response.status().is_client_error() => return,
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open_stream(
        &self,
        session: &Session,
        last_event_id: Option<&str>,
    ) -> Result<Response, EgressError> {
        let mut headers = self.endpoint.headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static(sse::MEDIA_TYPE));
        session.add_to(&mut headers);
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        self.egress.request(Method::GET, &self.endpoint.target, headers, None).await
    }

    /// Whether there was a message, where to resume, and the pause that the hub wants before.
    async fn give_all(&self, response: Response) -> (bool, Option<String>, Option<Duration>) {
        let mut messages = Messages::of(response);
        let mut heard = false;
        while let Ok(Some(message)) = messages.next().await {
            heard = true;
            self.give(message).await;
        }
        let (resume_at, pause) = messages.resumption();
        (heard, resume_at, pause)
    }

    /// Tells the hub that the session is over, so that it need not wait for it.
    pub(super) async fn end_session(&self) {
        let session = self.session.borrow().clone();
        if session.id.is_none() {
            return;
        }
        let mut headers: HeaderMap = self.endpoint.headers.clone();
        session.add_to(&mut headers);
        let goodbye = self.egress.request(Method::DELETE, &self.endpoint.target, headers, None);
        // A hub that is gone has forgotten the session anyway.
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

/// The JSON-RPC error in `body`, with `id` where it stands without one.
fn json_rpc_error(body: &[u8], id: &Value) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Refusal<'a> {
        jsonrpc: String,
        id: Option<Value>,
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let refusal: Refusal<'_> =
        serde_json::from_slice(body).ok().filter(|refusal: &Refusal<'_>| refusal.jsonrpc == "2.0")?;
    if refusal.id.as_ref().is_some_and(|theirs| theirs != id) {
        return None;
    }
    Some(json!({ "jsonrpc": "2.0", "id": id, "error": refusal.error }).to_string().into_bytes())
}
