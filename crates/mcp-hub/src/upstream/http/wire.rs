//! One endpoint and what every request to it carries.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use trunkline_model::ServerName;
use trunkline_oauth::client::Credential;
use trunkline_web::egress::{Egress, Response, Target};
use url::Url;

use super::{Failure, Link, headers};
use crate::jsonrpc::Message;
use crate::upstream::{Outgoing, UpstreamError};

/// How long the hub waits for the acceptance of what has no answer: replies,
/// cancellations and the end of a session.
const SIDE_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// One endpoint of a server, with everything parsed and built that requests share.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Wire {
    pub(in crate::upstream) server: ServerName,
    pub(super) target: Target,
    pub(super) egress: Egress,
    headers: HeaderMap,
    speaks: Speaks,
    credential: Option<Credential>,
    /// The largest message taken, in bytes.
    pub(in crate::upstream) message_limit: usize,
}

/// What the endpoint is known to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Unknown,
    Modern,
    /// Legacy streamable HTTP, with or without `Mcp-Session-Id`, or HTTP+SSE.
    Legacy {
        session: bool,
    },
}

impl Wire {
    /// The endpoint of `link`, before anything is known of it.
    ///
    /// # Errors
    /// When the URL or a configured header cannot be used, in words.
    pub(in crate::upstream) fn new(link: &Link) -> Result<Self, UpstreamError> {
        let unusable = |reason| UpstreamError::Unreachable { server: link.key.server.clone(), reason };
        let url = Url::parse(&link.endpoint.url)
            .map_err(|fault| unusable(format!("its URL cannot be used: {fault}")))?;
        let target = link.egress.target(&url).map_err(|fault| unusable(fault.to_string()))?;
        let headers = headers::base(&link.endpoint).map_err(unusable)?;
        Ok(Self {
            server: link.key.server.clone(),
            target,
            egress: link.egress.clone(),
            headers,
            speaks: Speaks::Unknown,
            credential: link.credential.clone(),
            message_limit: link.limits.message_bytes,
        })
    }

    /// The same endpoint, now known to be modern.
    pub(super) fn modern(mut self, version: &str) -> Self {
        self.set_version(version);
        self.speaks = Speaks::Modern;
        self
    }

    /// The same endpoint, now known to be legacy, with the session it gave.
    pub(super) fn legacy(mut self, version: &str, session: Option<HeaderValue>) -> Self {
        self.set_version(version);
        self.speaks = Speaks::Legacy { session: session.is_some() };
        if let Some(mut session) = session {
            session.set_sensitive(true);
            self.headers.insert(headers::SESSION_ID, session);
        }
        self
    }

    /// Where the messages of an HTTP+SSE server go.
    pub(in crate::upstream) fn at(mut self, url: &Url) -> Result<Self, Failure> {
        self.target = self.egress.target(url)?;
        self.speaks = Speaks::Legacy { session: false };
        Ok(self)
    }

    fn set_version(&mut self, version: &str) {
        if let Ok(version) = HeaderValue::from_str(version) {
            self.headers.insert(headers::PROTOCOL_VERSION, version);
        }
    }

    pub(in crate::upstream) fn url(&self) -> &Url {
        self.target.url()
    }

    pub(super) fn is_modern(&self) -> bool {
        self.speaks == Speaks::Modern
    }

    pub(super) fn has_session(&self) -> bool {
        self.speaks == Speaks::Legacy { session: true }
    }

    /// POSTs a request and gives back whatever the server answers.
    pub(super) async fn request(&self, outgoing: &Outgoing) -> Result<Response, Failure> {
        let mut headers = self.headers.clone();
        if self.is_modern() {
            headers::mirror(&mut headers, outgoing);
        }
        self.send(Method::POST, headers, Some(outgoing.body.clone())).await
    }

    /// POSTs `server/discover` as a modern client would.
    pub(super) async fn probe(
        &self,
        method: &str,
        version: &'static str,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let mut headers = self.headers.clone();
        headers.insert(headers::PROTOCOL_VERSION, HeaderValue::from_static(version));
        headers::mirror_method(&mut headers, method);
        self.send(Method::POST, headers, Some(body)).await
    }

    /// POSTs a request with the base headers alone.
    pub(super) async fn post(&self, body: Bytes) -> Result<Response, Failure> {
        self.send(Method::POST, self.headers.clone(), Some(body)).await
    }

    /// POSTs a message that has no answer.
    pub(in crate::upstream) async fn notify(&self, body: Bytes) -> Result<(), Failure> {
        let mut headers = self.headers.clone();
        if self.is_modern()
            && let Ok(message) = Message::parse_shallow(body.clone())
        {
            headers::mirror_method(&mut headers, message.method().unwrap_or_default());
        }
        let response = self.send(Method::POST, headers, Some(body)).await?;
        if response.status().is_success() { Ok(()) } else { Err(Box::pin(self.refusal(response)).await) }
    }

    /// POSTs a message that has no answer and that nobody waits for; a
    /// failure is logged.
    pub(in crate::upstream) async fn notify_aside(&self, what: &'static str, body: Bytes) {
        let outcome = tokio::time::timeout(SIDE_MESSAGE_TIMEOUT, self.notify(body)).await;
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => format!("no answer within {} s", SIDE_MESSAGE_TIMEOUT.as_secs()),
        };
        tracing::debug!(server = %self.server, what, reason, "the server did not accept a side message");
    }

    /// Opens the stream on which a legacy server speaks unasked, or the rest
    /// of a stream that broke after `last_event_id`.
    pub(in crate::upstream) async fn open_stream(
        &self,
        last_event_id: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, headers::EVENT_STREAM);
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(headers::LAST_EVENT_ID, id);
        }
        self.send(Method::GET, headers, None).await
    }

    /// Tells a legacy server that the session is over.
    pub(super) async fn end_session(&self) {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_TYPE);
        let _ = tokio::time::timeout(SIDE_MESSAGE_TIMEOUT, self.send(Method::DELETE, headers, None)).await;
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Failure> {
        match &self.credential {
            None => Ok(self.egress.request(method, &self.target, headers, body).await?),
            // On the heap: the future of a plain request is moved often and stays small.
            Some(credential) => Box::pin(self.send_authorized(credential, method, headers, body)).await,
        }
    }

    /// Where a person connects the server; none where nobody can.
    pub(super) fn link(&self) -> Option<String> {
        self.credential.as_ref().and_then(Credential::link)
    }
}
