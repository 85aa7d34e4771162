//! `/mcp/{profile}/sse`: HTTP+SSE for old clients (2024-11-05, transports).
//!
//! A GET opens the stream and names the address to post to; each POST is taken
//! with 202 and answered on the stream.

use std::sync::Arc;

use axum::extract::{Query, Request as HttpRequest, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::answer::{self, Answer, RpcError};
use super::entry::{self, Accepts, Named, bad};
use super::events::{self, Source};
use super::modern;
use super::session::Session;
use super::session_stream::SessionStream;
use super::streamable::{Open, SESSION_NOT_FOUND, framed, request};
use crate::Hub;
use crate::jsonrpc::Kind;
use crate::method::{self, Request};
use crate::upstream::Era;

/// The version of the transport; `initialize` may agree on a later one.
const VERSION: &str = "2024-11-05";
/// Requests of one client that are under way, or whose answers it has not read.
const QUEUE: usize = 64;

/// Opens the stream.
pub(crate) async fn get(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, _) = http.into_parts();
    let entry = match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry,
        Err(refusal) => return refusal,
    };
    let Some((token, session)) = hub.sessions.begin(&entry.caller, VERSION, None) else {
        return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let (outbox, answers) = mpsc::channel(QUEUE);
    // The session was made just now: nobody else has set its outbox.
    let _ = session.outbox.set(outbox);
    let heard = SessionStream::new(&session.subscriber, None);
    let endpoint = format!("/mcp/{}/sse?sessionId={token}", entry.profile.name());
    let first = trunkline_web::sse::event(Some("endpoint"), None, endpoint.as_bytes());
    let source = Both { answers, heard, _ended: Ended { hub: Arc::clone(&hub), token, session } };
    events::stream(Some(first), Open::new(source, &hub, &entry.caller))
}

/// Answers to the client's requests, and what it hears besides.
struct Both {
    answers: mpsc::Receiver<Bytes>,
    heard: SessionStream,
    _ended: Ended,
}

impl Source for Both {
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            answer = self.answers.recv() => answer.map(|answer| events::frame(&answer)),
            heard = self.heard.next() => heard,
        }
    }
}

/// On this transport the session is the stream: it ends with it.
struct Ended {
    hub: Arc<Hub>,
    token: String,
    session: Arc<Session>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.hub.end_session(&self.token, &self.session);
    }
}

#[derive(Debug, Deserialize)]
struct Address {
    #[serde(rename = "sessionId")]
    session_id: Option<String>,
}

/// Takes one message; its answer goes to the stream.
pub(crate) async fn post(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, body) = http.into_parts();
    let entry = match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry,
        Err(refusal) => {
            trunkline_web::body::discard_unread(&parts.headers, body).await;
            return refusal;
        }
    };
    let address = Query::<Address>::try_from_uri(&parts.uri);
    let Some(token) = address.ok().and_then(|Query(address)| address.session_id) else {
        let error = bad(
            "the query must have one sessionId; open the stream with a GET first",
            StatusCode::BAD_REQUEST,
        );
        return entry.refuse(None, &error);
    };
    let message = match entry.message(&parts.headers, body).await {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    if let Err(error) = modern::check_claims(&parts.headers, &message) {
        return entry.refuse(Some(&message), &error);
    }
    let session = hub.sessions.find_live(&token, &entry.caller);
    let Some((session, outbox)) = session.and_then(|session| {
        let outbox = session.outbox.get()?.clone();
        Some((session, outbox))
    }) else {
        let error = RpcError::new(SESSION_NOT_FOUND, "Session not found; open the stream again")
            .status(StatusCode::NOT_FOUND);
        return entry.refuse(Some(&message), &error);
    };
    let place = match message.kind() {
        Kind::Request => outbox.try_reserve_owned().ok(),
        Kind::Notification | Kind::Result | Kind::Error => None,
    };
    if message.kind() == Kind::Request && place.is_none() {
        let error = bad(
            "too many requests wait for their answers to be read; read the stream",
            StatusCode::TOO_MANY_REQUESTS,
        );
        return entry.refuse(Some(&message), &error);
    }
    let accepts = Accepts { json: false, stream: true, gzip: false };
    let request = request(entry, message, Era::Legacy, Some(session), accepts);
    // On the stream no client would find a challenge.
    if place.is_some()
        && let Some(refused) =
            method::refused_for_scope(&request, request.message.method().unwrap_or_default())
    {
        return framed(refused, true, &hub);
    }
    let tasks = hub.tasks.clone();
    tasks.spawn(async move { Box::pin(answer_on(request, place)).await });
    answer::empty(StatusCode::ACCEPTED)
}

/// Any other HTTP method.
pub(crate) async fn other(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, _) = http.into_parts();
    match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry.method_not_allowed("GET, POST"),
        Err(refusal) => refusal,
    }
}

/// A place for the answer is kept from the beginning: who does not read has
/// nothing done that nobody could keep.
type Place = mpsc::OwnedPermit<Bytes>;

async fn answer_on(request: Request, place: Option<Place>) {
    let Some(place) = place else {
        match (request.message.kind(), &request.session) {
            (Kind::Result | Kind::Error, Some(session)) => session.asked.answer(request.message),
            _ => method::take_notification(&request).await,
        }
        return;
    };
    let answer = match request.message.method() {
        Some("initialize") => method::initialize(request, false).await,
        _ => method::dispatch(request).await,
    };
    match answer {
        Answer::Message { body, .. } | Answer::Challenge { body, .. } => drop(place.send(body.joined())),
        Answer::Stream(mut messages, _) => {
            let Some(first) = messages.recv().await else { return };
            let outbox = place.send(first);
            while let Some(message) = messages.recv().await {
                // A closed outbox is a client that went away.
                let _ = outbox.send(message).await;
            }
        }
        Answer::Accepted | Answer::Nothing => {}
    }
}
