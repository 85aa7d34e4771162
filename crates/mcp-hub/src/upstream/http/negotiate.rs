//! Which era and transport a server speaks (2026-07-28, basic/versioning and
//! basic/transports, "backward compatibility").

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderValue;
use trunkline_model::{EraPin, HttpTransport};
use trunkline_web::egress::Response;

use super::answer::Answer;
use super::answers::Answers;
use super::authorized::unusable;
use super::failure::is_temporary;
use super::{Failure, HttpConnection, Link, Wire, headers, reply_to};
use crate::jsonrpc::{Kind, Message, code};
use crate::upstream::handshake::{self, Discovery, MODERN_VERSION, Refusal};
use crate::upstream::{Connection, Greeting, UpstreamError, next_id, sse};

/// Finds out what the server speaks, with as few questions as its pins allow,
/// and completes the handshake.
pub(super) async fn negotiate(link: Link) -> Result<Connection, UpstreamError> {
    let wire = Wire::new(&link)?;
    if let Some(credential) = &link.credential {
        // What is lacking is known before the server is asked.
        let obtained = Box::pin(credential.obtain()).await;
        obtained.map_err(|error| unusable(error, credential).of_handshake(&wire))?;
    } else if link.endpoint.auth.is_from_authorization_server() {
        let reason = "nobody has signed in to it yet".to_owned();
        return Err(UpstreamError::NeedsConsent { server: link.key.server, reason, link: None });
    }
    if link.endpoint.transport == HttpTransport::Sse {
        return Box::pin(sse::connect(link, wire)).await;
    }
    if link.era != EraPin::Legacy {
        let mut discovery = discover(&link, &wire).await?;
        if matches!(&discovery, Discovery::Refused(refusal) if refusal.code == Some(code::UNSUPPORTED_PROTOCOL_VERSION))
        {
            // It names the version that it has refused among those it speaks, and may mean it now
            // (2026-07-28, basic/versioning).
            discovery = discover(&link, &wire).await?;
        }
        match discovery {
            Discovery::Modern(greeting) => {
                let wire = wire.modern(&greeting.protocol_version);
                return Ok(opened(wire, greeting, link));
            }
            Discovery::Refused(refusal) => return Err(refused(&wire, refusal.reason)),
            Discovery::Legacy if link.era == EraPin::Modern => {
                return Err(refused(
                    &wire,
                    format!("it does not speak {MODERN_VERSION}, which its era pins"),
                ));
            }
            Discovery::Legacy => {}
        }
    }
    match initialize(&wire, link.key.scope.offer()).await? {
        Initialized::Done { greeting, session } => {
            let wire = wire.legacy(&greeting.protocol_version, session);
            wire.notify(handshake::initialized()).await.map_err(|failure| failure.of_handshake(&wire))?;
            Ok(opened(wire, greeting, link))
        }
        Initialized::Refused(failure) if link.endpoint.transport == HttpTransport::Auto => {
            let reason = failure.to_string();
            let connection = Box::pin(sse::connect(link, wire)).await;
            connection.map_err(|error| also(error, &reason))
        }
        Initialized::Refused(failure) => Err(failure.of_handshake(&wire)),
    }
}

fn opened(wire: Wire, greeting: Greeting, link: Link) -> Connection {
    Connection::Http(Arc::new(HttpConnection::open(wire, greeting, link.key, link.events)))
}

/// Asks the modern question. A server that takes it for nonsense, or does not
/// answer it in time, is asked the legacy one.
async fn discover(link: &Link, wire: &Wire) -> Result<Discovery, UpstreamError> {
    let id = next_id();
    let asked = async {
        let response = wire.probe("server/discover", MODERN_VERSION, handshake::discover(id)).await?;
        let (answer, _) = first_answer(wire, id, response).await?;
        Ok(answer)
    };
    match tokio::time::timeout(link.limits.discover_timeout, asked).await {
        Ok(Ok(answer)) => Ok(handshake::read_discover(&answer)),
        Ok(Err(Failure::Status { status, error, .. })) if !is_temporary(status) => {
            Ok(error.map_or(Discovery::Legacy, |error| handshake::read_discover(&error)))
        }
        Err(_) | Ok(Err(Failure::NotMcp { .. } | Failure::TooLarge { .. })) => Ok(Discovery::Legacy),
        Ok(Err(failure)) => Err(failure.of_handshake(wire)),
    }
}

/// What the server said to `initialize`.
enum Initialized {
    Done {
        greeting: Greeting,
        session: Option<HeaderValue>,
    },
    /// As a server without streamable HTTP would answer.
    Refused(Failure),
}

async fn initialize(wire: &Wire, offer: &str) -> Result<Initialized, UpstreamError> {
    let id = next_id();
    let answered = match wire.post(handshake::initialize(id, offer)).await {
        Ok(response) => first_answer(wire, id, response).await,
        Err(failure) => Err(failure),
    };
    match answered {
        Ok((answer, session)) => match handshake::read_initialize(&answer) {
            Ok(greeting) => Ok(Initialized::Done { greeting, session }),
            Err(Refusal { reason, .. }) => Err(refused(wire, reason)),
        },
        Err(failure) => match failure {
            Failure::Status {
                status: StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED,
                ..
            } => Ok(Initialized::Refused(failure)),
            other => Err(other.of_handshake(wire)),
        },
    }
}

/// The answer in a response, and the session that comes with it.
async fn first_answer(
    wire: &Wire,
    id: u64,
    response: Response,
) -> Result<(Message, Option<HeaderValue>), Failure> {
    let session = response.headers().get(headers::SESSION_ID).cloned();
    let stream = match wire.read(id, response).await? {
        Answer::Message(answer) => return Ok((answer, session)),
        Answer::Stream(stream) => stream,
    };
    let mut answers = Answers::new(Arc::new(wire.clone()), id, stream);
    loop {
        let message = answers.next().await?;
        match message.kind() {
            Kind::Result | Kind::Error => return Ok((message, session)),
            // Nobody is there yet who could be asked.
            Kind::Request => wire.notify_aside("reply", reply_to(&message)).await,
            Kind::Notification => {}
        }
    }
}

fn refused(wire: &Wire, reason: String) -> UpstreamError {
    UpstreamError::Handshake { server: wire.server.clone(), reason }
}

/// `error` of the last attempt, with what the attempt before it met.
fn also(error: UpstreamError, before: &str) -> UpstreamError {
    match error {
        UpstreamError::Handshake { server, reason } => {
            let reason = format!("initialize: {before}; HTTP+SSE: {reason}");
            UpstreamError::Handshake { server, reason }
        }
        other => other,
    }
}
