//! A server of 2026-07-28: a tool that answers at once, one that asks first,
//! and a list that changes when it is told to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Either;
use hyper::body::{Body, Frame};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Answer, Envelope, envelope_of, json_answer};

/// Where the server is.
pub(crate) const PATH: &str = "/m";
/// A PUT here changes its list.
pub(crate) const CHANGE: &str = "/m/change";
/// The tools: the latter asks for a form before it answers.
pub(crate) const PLAIN: &str = "plain";
pub(crate) const ASK: &str = "ask";

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private"}"#;
const QUESTION: &str = r#"{"resultType":"input_required","requestState":"the state of a call","inputRequests":{"name":{"method":"elicitation/create","params":{"mode":"form","message":"What is your name?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}}}"#;
/// Changes that wait for a client to read them.
const QUEUE: usize = 16;

pub(super) struct Server {
    /// The result of a call.
    call: String,
    changes: AtomicUsize,
    /// Who listens, by the id of their request.
    listening: Mutex<Vec<(String, mpsc::Sender<Bytes>)>>,
}

/// The body of a stream of events.
pub(super) struct Changes(mpsc::Receiver<Bytes>);

impl Body for Changes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[derive(Deserialize)]
struct Params<'a> {
    name: Option<&'a str>,
    #[serde(rename = "inputResponses", borrow)]
    responses: Option<&'a RawValue>,
}

impl Server {
    /// A server whose calls are answered with this text.
    pub(super) fn new(text: &str) -> Self {
        let call = format!(r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#);
        Self { call, changes: AtomicUsize::new(0), listening: Mutex::default() }
    }

    /// Changes the list and says so to everyone who listens.
    pub(super) fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.retain(|(id, sender)| {
            let changed = event("notifications/tools/list_changed", id, "");
            !matches!(sender.try_send(changed), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }

    pub(super) fn said(&self, id: &str, envelope: &Envelope<'_>) -> Answer {
        let result = match envelope.method {
            "server/discover" => DISCOVERED.to_owned(),
            "tools/list" => self.list(),
            "tools/call" => self.called(envelope.params),
            "subscriptions/listen" => return self.listen(id),
            _ => {
                let error = r#"{"code":-32601,"message":"Method not found"}"#;
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
                return json_answer(StatusCode::NOT_FOUND, body);
            }
        };
        json_answer(StatusCode::OK, envelope_of(id, &result))
    }

    fn called(&self, params: Option<&RawValue>) -> String {
        let params = params.and_then(|raw| serde_json::from_str::<Params<'_>>(raw.get()).ok());
        let asks = params.is_some_and(|params| params.name == Some(ASK) && params.responses.is_none());
        if asks { QUESTION.to_owned() } else { self.call.clone() }
    }

    fn list(&self) -> String {
        let changes = self.changes.load(Ordering::Relaxed).to_string();
        let tools = [PLAIN, ASK, &changes].map(|name| {
            format!(r#"{{"name":"{name}","description":"Answers.","inputSchema":{{"type":"object"}}}}"#)
        });
        let tools = tools.join(",");
        format!(r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{tools}]}}"#)
    }

    fn listen(&self, id: &str) -> Answer {
        let (sender, events) = mpsc::channel(QUEUE);
        let accepted = r#","notifications":{"toolsListChanged":true}"#;
        // The channel is new: there is room.
        let _ = sender.try_send(event("notifications/subscriptions/acknowledged", id, accepted));
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push((id.to_owned(), sender));
        let mut answer = Response::new(Either::Right(Changes(events)));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        answer
    }
}

fn event(method: &str, id: &str, more: &str) -> Bytes {
    let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let params = format!(r#"{{"_meta":{meta}{more}}}"#);
    format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}\n\n").into()
}
