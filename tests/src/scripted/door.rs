//! The HTTP side: sessions, streams and the choice of the era.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::sync::broadcast;

use super::{Eras, Received, State, answer, lock};

pub(super) async fn serve(
    Shared(state): Shared<Arc<State>>,
    http_method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let message: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let method = message["method"].as_str().map(str::to_owned);
    state.record(Received {
        http_method: http_method.clone(),
        headers: headers.clone(),
        body: text,
        method: method.clone(),
    });
    match http_method {
        Method::POST => post(&state, &headers, method.as_deref().unwrap_or_default(), &message).await,
        Method::GET if in_session(&state, &headers) => announcements(&state, None),
        Method::DELETE => delete(&state, &headers),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get("mcp-session-id").and_then(|value| value.to_str().ok())
}

fn in_session(state: &State, headers: &HeaderMap) -> bool {
    session(headers).is_some_and(|id| lock(&state.sessions).contains(id))
}

fn delete(state: &State, headers: &HeaderMap) -> Response {
    let known = session(headers).is_some_and(|id| lock(&state.sessions).remove(id));
    if known { StatusCode::NO_CONTENT.into_response() } else { StatusCode::NOT_FOUND.into_response() }
}

async fn post(state: &State, headers: &HeaderMap, method: &str, message: &Value) -> Response {
    let modern = answer::is_modern(message);
    let id = &message["id"];
    if modern && state.script.eras == Eras::Legacy {
        return json(400, None, &answer::error(&Value::Null, -32000, "Bad Request: Server not initialized"));
    }
    if !modern && state.script.eras == Eras::Modern {
        return json(400, None, &answer::unsupported_version(id, message));
    }
    if !modern && method != "initialize" && !in_session(state, headers) {
        let status = if session(headers).is_some() { 404 } else { 400 };
        return json(status, None, &answer::error(id, -32000, "no session"));
    }
    if id.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    if method == "subscriptions/listen" {
        return announcements(state, Some(message));
    }
    state.hold(method).await;
    let opened = (method == "initialize").then(|| open_session(state));
    let text = answer::answer(&state.script, state.tools.load(Ordering::SeqCst), message);
    if state.script.streams { event_stream(opened, &text) } else { json(200, opened, &text) }
}

fn open_session(state: &State) -> String {
    let id = format!("{}-{}", state.script.name, state.next_session.fetch_add(1, Ordering::SeqCst));
    lock(&state.sessions).insert(id.clone());
    id
}

fn respond(status: u16, kind: &str, session: Option<String>, body: Body) -> Response {
    let mut builder = Response::builder().status(status).header("content-type", kind);
    if let Some(session) = session {
        builder = builder.header("mcp-session-id", session);
    }
    builder.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn json(status: u16, session: Option<String>, text: &str) -> Response {
    respond(status, "application/json", session, Body::from(text.to_owned()))
}

fn event_stream(session: Option<String>, text: &str) -> Response {
    respond(200, "text/event-stream", session, Body::from(event(text)))
}

fn event(text: &str) -> String {
    format!("event: message\ndata: {text}\n\n")
}

/// The stream of announcements: of a session, or what `subscriptions/listen`
/// asks for, which is acknowledged first.
fn announcements(state: &State, listen: Option<&Value>) -> Response {
    let subscription = listen.map(|message| message["id"].clone());
    let first = listen.map(answer::acknowledgement);
    let receiver = state.announcements.subscribe();
    let later = stream::unfold((receiver, subscription), |(mut receiver, subscription)| async move {
        loop {
            match receiver.recv().await {
                Ok(method) => {
                    let text = answer::announcement(&method, subscription.as_ref());
                    return Some((text, (receiver, subscription)));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    let all = stream::iter(first).chain(later).map(|text| Ok::<_, Infallible>(event(&text)));
    respond(200, "text/event-stream", None, Body::from_stream(all))
}
