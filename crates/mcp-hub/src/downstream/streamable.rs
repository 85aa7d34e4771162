//! `/mcp/{profile}`: streamable HTTP in both eras (2026-07-28 and 2025-11-25,
//! basic/transports).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use trunkline_model::Caller;

use super::answer::{self, Answer, RpcError, SESSION_HEADER};
use super::entry::{self, Accepts, Entry, Named, bad};
use super::events::{self, Source};
use super::modern;
use super::session::Session;
use super::session_stream::SessionStream;
use super::streams::{NotResumed, Resumed};
use crate::Hub;
use crate::catalog::ListKind;
use crate::jsonrpc::{Kind, Message};
use crate::method::{self, Listening, Request};
use crate::upstream::Era;
use crate::upstream::handshake::LEGACY_VERSIONS;

/// What servers answer for a session that is unknown, ended or another's.
pub(crate) const SESSION_NOT_FOUND: i64 = -32001;

/// One message of a client.
pub(crate) async fn post(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, body) = http.into_parts();
    let entry = match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry,
        Err(refusal) => {
            trunkline_web::body::discard_unread(&parts.headers, body).await;
            return refusal;
        }
    };
    let accepts = entry::accepts(&parts.headers);
    if !accepts.json && !accepts.stream {
        let error = bad(
            "the Accept header must allow application/json and text/event-stream",
            StatusCode::NOT_ACCEPTABLE,
        );
        return entry.refuse(None, &error);
    }
    let message = match entry.message(&parts.headers, body).await {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    let answered = if modern::speaks_modern(&parts.headers, &message) {
        Box::pin(post_modern(entry, &parts.headers, message, accepts)).await
    } else {
        Box::pin(post_legacy(entry, &parts.headers, message, accepts)).await
    };
    match answered {
        Ok(answer) => framed(answer, accepts.json, &hub),
        Err(response) => response,
    }
}

pub(crate) fn framed(answer: Answer, takes_json: bool, hub: &Hub) -> Response {
    match answer {
        Answer::Challenge { body, challenge } => answer::challenge(body, *challenge),
        Answer::Message { status, body, session } if takes_json || status != StatusCode::OK => {
            answer::json(status, body, session.as_deref())
        }
        Answer::Message { body, session, .. } => {
            let (_, nothing) = tokio::sync::mpsc::channel::<Bytes>(1);
            let mut response = events::stream(Some(events::frame(&body.joined())), nothing);
            if let Some(Ok(value)) = session.map(|id| HeaderValue::from_str(&id)) {
                response.headers_mut().insert(SESSION_HEADER, value);
            }
            response
        }
        Answer::Stream(messages, None) => events::stream(None, messages),
        Answer::Stream(messages, Some(session)) => {
            let (first, reader) = session.streams.open(messages, &hub.tasks);
            events::stream(first, reader)
        }
        Answer::Accepted => answer::empty(StatusCode::ACCEPTED),
        Answer::Nothing => events::empty(),
    }
}

async fn post_modern(
    entry: Entry,
    headers: &HeaderMap,
    message: Message,
    accepts: Accepts,
) -> Result<Answer, Response> {
    if let Err(error) = modern::check_claims(headers, &message) {
        return Err(entry.refuse(Some(&message), &error));
    }
    match message.kind() {
        Kind::Notification => {
            // Claude Code posts notifications/cancelled without Mcp-Method; a
            // modern request is cancelled by closing its stream.
            let request = request(entry, message, Era::Modern, None, accepts);
            method::take_notification(&request).await;
            return Ok(Answer::Accepted);
        }
        Kind::Result | Kind::Error => {
            let error = bad("a client of this protocol version posts no answers", StatusCode::BAD_REQUEST);
            return Err(entry.refuse(Some(&message), &error));
        }
        Kind::Request => {}
    }
    if let Err(error) = modern::check(headers, &message) {
        return Err(entry.refuse(Some(&message), &error));
    }
    let mut request = request(entry, message, Era::Modern, None, accepts);
    request.param_headers = modern::param_headers(headers, &request.message);
    if request.message.method() == Some("subscriptions/listen") {
        return Err(listen(&Arc::new(request)));
    }
    Ok(method::dispatch(request).await)
}

fn listen(request: &Arc<Request>) -> Response {
    match Listening::begin(request) {
        Ok(listening) => {
            let first = events::frame(&listening.acknowledgement);
            events::stream(Some(first), Open::new(listening, &request.hub, &request.caller))
        }
        Err(error) => entry_of(request).refuse(Some(&request.message), &error),
    }
}

fn entry_of(request: &Request) -> Entry {
    Entry {
        hub: Arc::clone(&request.hub),
        profile: Arc::clone(&request.profile),
        caller: request.caller.clone(),
        request_id: request.request_id,
        arrived: request.arrived,
        host: request.host.clone(),
    }
}

async fn post_legacy(
    entry: Entry,
    headers: &HeaderMap,
    message: Message,
    accepts: Accepts,
) -> Result<Answer, Response> {
    if let Err(error) = modern::check_claims(headers, &message) {
        return Err(entry.refuse(Some(&message), &error));
    }
    if message.method() == Some("initialize") && message.kind() == Kind::Request {
        let request = request(entry, message, Era::Legacy, None, accepts);
        return Ok(method::initialize(request, true).await);
    }
    if let Err(error) = check_version(headers) {
        return Err(entry.refuse(Some(&message), &error));
    }
    let session = match session(&entry, headers) {
        Ok((_, session)) => session,
        Err(error) => return Err(entry.refuse(Some(&message), &error)),
    };
    let request = request(entry, message, Era::Legacy, Some(session), accepts);
    match request.message.kind() {
        Kind::Request => Ok(method::dispatch(request).await),
        Kind::Notification => {
            method::take_notification(&request).await;
            Ok(Answer::Accepted)
        }
        Kind::Result | Kind::Error => {
            if let Some(session) = &request.session {
                session.asked.answer(request.message);
            }
            Ok(Answer::Accepted)
        }
    }
}

pub(crate) fn request(
    entry: Entry,
    message: Message,
    era: Era,
    session: Option<Arc<Session>>,
    accepts: Accepts,
) -> Request {
    Request {
        hub: entry.hub,
        profile: entry.profile,
        caller: entry.caller,
        message,
        request_id: entry.request_id,
        arrived: entry.arrived,
        host: entry.host,
        era,
        session,
        takes_stream: accepts.stream,
        takes_gzip: accepts.json && accepts.gzip,
        param_headers: HeaderMap::new(),
        offer: OnceLock::new(),
    }
}

/// A version header that a legacy client sends must be one of a legacy
/// version; without one, the session's version counts.
fn check_version(headers: &HeaderMap) -> Result<(), RpcError> {
    let mut values = headers.get_all(modern::VERSION_HEADER).iter();
    let (Some(value), second) = (values.next(), values.next()) else { return Ok(()) };
    if second.is_some() {
        return Err(bad("the header MCP-Protocol-Version stands twice", StatusCode::BAD_REQUEST));
    }
    let version = value.to_str().unwrap_or_default();
    if LEGACY_VERSIONS.contains(&version) { Ok(()) } else { Err(modern::unsupported(version)) }
}

fn session<'a>(entry: &Entry, headers: &'a HeaderMap) -> Result<(&'a str, Arc<Session>), RpcError> {
    let mut values = headers.get_all(SESSION_HEADER).iter();
    let token = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (None, _) => {
            return Err(bad(
                "the header Mcp-Session-Id is missing; begin with initialize",
                StatusCode::BAD_REQUEST,
            ));
        }
        (Some(_), Some(_)) => {
            return Err(bad("the header Mcp-Session-Id stands twice", StatusCode::BAD_REQUEST));
        }
    };
    match entry.hub.sessions.find(token, &entry.caller) {
        Some(session) => Ok((token, session)),
        None => Err(RpcError::new(SESSION_NOT_FOUND, "Session not found; begin again with initialize")
            .status(StatusCode::NOT_FOUND)),
    }
}

/// The stream of a legacy session.
pub(crate) async fn get(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, _) = http.into_parts();
    let entry = match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry,
        Err(refusal) => return refusal,
    };
    if modern::says_modern(&parts.headers) {
        return entry.method_not_allowed("POST");
    }
    if !entry::accepts(&parts.headers).stream {
        let error = bad(
            "a GET opens an event stream: Accept must allow text/event-stream",
            StatusCode::NOT_ACCEPTABLE,
        );
        return entry.refuse(None, &error);
    }
    let asked = check_version(&parts.headers).and_then(|()| {
        let (_, session) = session(&entry, &parts.headers)?;
        Ok((session, last_event_id(&parts.headers)?))
    });
    let opened = asked.and_then(|(session, last)| match last {
        Some(last) => taken_up(&entry, &session, &last),
        None => Ok(listening(&entry, &session)),
    });
    opened.unwrap_or_else(|error| entry.refuse(None, &error))
}

/// The session's own stream, from now on.
fn listening(entry: &Entry, session: &Session) -> Response {
    let kept = session.streams.own();
    let (priming, next) = session.streams.priming(kept);
    let source = SessionStream::new(&session.subscriber, Some((Arc::clone(kept), next)));
    // Something opens the stream at once, for clients that wait for a first byte.
    let first = Some(priming.unwrap_or_else(trunkline_web::sse::comment));
    events::stream(first, Open::new(source, &entry.hub, &entry.caller))
}

/// The rest of a stream whose connection broke.
fn taken_up(entry: &Entry, session: &Session, last: &str) -> Result<Response, RpcError> {
    let first = Some(session.streams.reopening(last));
    match session.streams.resume(last, &entry.hub.tasks) {
        Ok(Resumed::Answer(reader)) => {
            Ok(events::stream(first, Open::new(reader, &entry.hub, &entry.caller)))
        }
        Ok(Resumed::Own(next)) => {
            let kept = Arc::clone(session.streams.own());
            let source = SessionStream::new(&session.subscriber, Some((kept, next)));
            Ok(events::stream(first, Open::new(source, &entry.hub, &entry.caller)))
        }
        Ok(Resumed::OwnWithGap) => {
            for kind in ListKind::ALL {
                session.subscriber.list_changed(kind);
            }
            Ok(listening(entry, session))
        }
        Err(NotResumed::Ended) => Ok(ended(entry)),
        Err(NotResumed::NotKept) => {
            let message = "what came after Last-Event-ID is no longer kept; make the request again";
            Err(bad(message, StatusCode::BAD_REQUEST))
        }
        Err(NotResumed::NotOfSession) => Err(of_no_event()),
    }
}

/// Not 404, with which a client would begin a new session.
fn of_no_event() -> RpcError {
    bad("Last-Event-ID is no event of this session", StatusCode::BAD_REQUEST)
}

/// The answer of a GET that opens no stream, and which SDKs take without
/// complaint: some come back for more after an answer that is an error.
fn ended(entry: &Entry) -> Response {
    let message = "nothing came after Last-Event-ID, and its stream has ended";
    let mut response = entry.refuse(None, &bad(message, StatusCode::METHOD_NOT_ALLOWED));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    response
}

/// The event after which a client wants to go on.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, RpcError> {
    let mut values = headers.get_all("last-event-id").iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None | Some(Ok("")), None) => Ok(None),
        (Some(Ok(id)), None) => Ok(Some(id.to_owned())),
        (Some(Err(_)), None) => Err(of_no_event()),
        (_, Some(_)) => Err(bad("the header Last-Event-ID stands twice", StatusCode::BAD_REQUEST)),
    }
}

/// Ends a legacy session.
pub(crate) async fn delete(
    State(hub): State<Arc<Hub>>,
    Named(profile): Named,
    http: HttpRequest,
) -> Response {
    let (parts, _) = http.into_parts();
    let entry = match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry,
        Err(refusal) => return refusal,
    };
    if modern::says_modern(&parts.headers) {
        return entry.method_not_allowed("POST");
    }
    match session(&entry, &parts.headers) {
        Ok((token, session)) => {
            hub.end_session(token, &session);
            answer::empty(StatusCode::OK)
        }
        Err(error) => entry.refuse(None, &error),
    }
}

/// Any other HTTP method.
pub(crate) async fn other(State(hub): State<Arc<Hub>>, Named(profile): Named, http: HttpRequest) -> Response {
    let (parts, _) = http.into_parts();
    match entry::enter(&hub, &profile, &parts).await {
        Ok(entry) => entry.method_not_allowed("GET, POST, DELETE"),
        Err(refusal) => refusal,
    }
}

/// How often an open stream makes sure that its caller is still welcome.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A stream that ends with the hub, and with its caller's credential.
pub(crate) struct Open<S> {
    source: S,
    hub: Arc<Hub>,
    caller: Caller,
    look_again: Interval,
}

impl<S: Source> Open<S> {
    pub(crate) fn new(source: S, hub: &Arc<Hub>, caller: &Caller) -> Self {
        let mut look_again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { source, hub: Arc::clone(hub), caller: caller.clone(), look_again }
    }
}

impl<S: Source> Source for Open<S> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                () = self.hub.stopping.cancelled() => return None,
                _ = self.look_again.tick() => {
                    let profile = self.hub.profile(self.caller.profile().as_str());
                    let is_member = profile.is_some_and(|profile| {
                        self.hub.resource.admits(self.caller.principal(), profile.spec().members.as_ref())
                    });
                    if !is_member || !self.hub.resource.is_still_good(&self.caller) {
                        return None;
                    }
                }
                message = self.source.next() => return message,
            }
        }
    }
}

impl Source for Listening {
    async fn next(&mut self) -> Option<Bytes> {
        Listening::next(self).await.map(|message| events::frame(&message))
    }
}
