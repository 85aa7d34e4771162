//! Starting a child and finding its era (2026-07-28, basic/versioning).
//!
//! Some servers lock their process to the era of the first message, and some
//! end when they do not know a method. So whatever goes wrong after a
//! `server/discover` is tried once more with `initialize` on a fresh process.

use std::time::Duration;

use bytes::Bytes;
use trunkline_model::EraPin;

use super::process::Process;
use super::{Launch, StdioConnection};
use crate::jsonrpc::{Message, code};
use crate::upstream::handshake::{self, Discovery, MODERN_VERSION, Refusal};
use crate::upstream::http::subscription;
use crate::upstream::{Greeting, Outgoing, UpstreamError, next_id};

/// Starts the child and completes the handshake. The caller bounds it in
/// time; dropping it stops the child.
///
/// # Errors
/// [`UpstreamError::Unreachable`] when the program cannot be started, and
/// [`UpstreamError::Handshake`] when it does not speak MCP.
pub async fn start(launch: &Launch) -> Result<StdioConnection, UpstreamError> {
    match launch.era {
        EraPin::Legacy => legacy(launch).await,
        EraPin::Modern => modern(launch).await,
        EraPin::Auto => either(launch).await,
    }
}

/// What `initialize` on a process that was asked to discover led to.
enum Retry {
    /// The process is locked to what it was asked first, or is gone.
    OnFreshProcess,
    Failed(UpstreamError),
}

async fn legacy(launch: &Launch) -> Result<StdioConnection, UpstreamError> {
    let process = Process::spawn(launch)?;
    match initialize(&process).await {
        Ok(greeting) => Ok(StdioConnection { greeting, process }),
        Err(failure) => Err(refuse(launch, &process, failure.reason(&process)).await),
    }
}

async fn modern(launch: &Launch) -> Result<StdioConnection, UpstreamError> {
    let process = Process::spawn(launch)?;
    let reason = match ask(&process, "server/discover", handshake::discover).await {
        Ok(answer) => match handshake::read_discover(&answer) {
            Discovery::Modern(greeting) => return Ok(listening(greeting, process).await),
            Discovery::Refused(refusal) => refusal.reason,
            Discovery::Legacy => format!("it does not speak {MODERN_VERSION}, which its era pins"),
        },
        Err(failure) => failure.reason(&process),
    };
    Err(refuse(launch, &process, reason).await)
}

async fn either(launch: &Launch) -> Result<StdioConnection, UpstreamError> {
    let process = Process::spawn(launch)?;
    let patience = launch.limits.discover_timeout;
    let retry = match discover(&process, patience).await {
        Some(Discovery::Modern(greeting)) => return Ok(listening(greeting, process).await),
        Some(Discovery::Refused(refusal)) => return Err(refuse(launch, &process, refusal.reason).await),
        Some(Discovery::Legacy) => match initialize(&process).await {
            Ok(greeting) => return Ok(StdioConnection { greeting, process }),
            Err(failure) if failure.is_locked_or_gone() => Retry::OnFreshProcess,
            Err(failure) => Retry::Failed(refuse(launch, &process, failure.reason(&process)).await),
        },
        None => Retry::OnFreshProcess,
    };
    match retry {
        Retry::Failed(error) => Err(error),
        Retry::OnFreshProcess => {
            process.stop("it is started again for an initialize").await;
            legacy(launch).await
        }
    }
}

/// A modern server announces changes to those who listen (2026-07-28,
/// basic/patterns/subscriptions). Nothing waits for the answer: what comes
/// for a request that is not pending goes to the events.
async fn listening(greeting: Greeting, process: Process) -> StdioConnection {
    if let Some(request) = subscription(next_id(), &greeting.capabilities) {
        // A child that has ended says so on the first call.
        drop(process.link.notify(request).await);
    }
    StdioConnection { greeting, process }
}

/// The answer to `server/discover`; none when it did not come in time or the
/// process ended instead.
async fn discover(process: &Process, patience: Duration) -> Option<Discovery> {
    let asked = ask(process, "server/discover", handshake::discover);
    let answer = tokio::time::timeout(patience, asked).await.ok()?.ok()?;
    Some(handshake::read_discover(&answer))
}

/// Why a question of the handshake was not answered as it should be.
enum Failure {
    Refused(Refusal),
    Link(UpstreamError),
}

impl Failure {
    fn is_locked_or_gone(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code == Some(code::UNSUPPORTED_PROTOCOL_VERSION),
            Self::Link(error) => matches!(error, UpstreamError::Closed { .. } | UpstreamError::SessionLost),
        }
    }

    fn reason(self, process: &Process) -> String {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::Link(UpstreamError::Closed { reason }) => reason,
            Self::Link(UpstreamError::SessionLost) => process.link.with_last_words("the child ended at once"),
            Self::Link(error) => error.to_string(),
        }
    }
}

async fn initialize(process: &Process) -> Result<Greeting, Failure> {
    let key = process.link.key();
    let answer = ask(process, "initialize", |id| handshake::initialize(id, key.scope.offer())).await?;
    let greeting = handshake::read_initialize(&answer).map_err(Failure::Refused)?;
    process.link.notify(handshake::initialized()).await.map_err(Failure::Link)?;
    Ok(greeting)
}

async fn ask(process: &Process, method: &str, build: impl Fn(u64) -> Bytes) -> Result<Message, Failure> {
    let id = next_id();
    let outgoing =
        Outgoing { id, method: method.to_owned(), body: build(id), name: None, param_headers: Vec::new() };
    let answered = async { process.link.exchange(outgoing).await?.into_answer().await };
    answered.await.map_err(Failure::Link)
}

async fn refuse(launch: &Launch, process: &Process, reason: String) -> UpstreamError {
    process.stop(&format!("the handshake failed: {reason}")).await;
    UpstreamError::Handshake { server: launch.owner.key().server.clone(), reason }
}
