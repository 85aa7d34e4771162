//! A child process that speaks MCP on its standard input and output
//! (2025-11-25 and 2026-07-28, basic/transports, "stdio").

mod dispatch;
#[cfg(test)]
pub(crate) mod fixture;
mod lines;
mod link;
mod log;
mod pipes;
mod process;
mod redaction;
mod start;

use std::ffi::OsString;
use std::sync::Arc;

use bytes::Bytes;
use trunkline_model::{Command, EraPin};
use trunkline_profiles::Permit;
use trunkline_web::Tasks;

use super::{Events, Exchange, Greeting, Limits, Outgoing, Owner, UpstreamError};

pub use log::{LogLine, LogRing, LogSource};
pub use start::start;

/// Everything a child is started from.
#[derive(Debug, Clone)]
pub struct Launch {
    pub owner: Owner,
    pub command: Command,
    /// What every child gets besides its declared environment: `PATH`, `HOME`
    /// and the like; what the server declares wins.
    pub base_environment: Arc<[(OsString, OsString)]>,
    pub era: EraPin,
    pub events: Events,
    pub log: Arc<LogRing>,
    pub limits: Limits,
    pub tasks: Tasks,
}

/// A child process that speaks MCP on its standard input and output. Dropping
/// it stops the child, as [`Self::stop`] does.
#[derive(Debug)]
pub struct StdioConnection {
    greeting: Greeting,
    process: process::Process,
}

impl StdioConnection {
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Sends a request and waits for the first thing that comes back. Dropping
    /// the call cancels the request.
    ///
    /// # Errors
    /// [`UpstreamError::Closed`] when the child ended; the request may have
    /// been executed. [`UpstreamError::SessionLost`] when it ended before the
    /// request left, so that another instance may be asked.
    pub async fn call(&self, _permit: &Permit, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        self.process.link.exchange(outgoing).await
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// [`UpstreamError::SessionLost`] when the child has ended.
    pub async fn notify(&self, _permit: &Permit, body: Bytes) -> Result<(), UpstreamError> {
        self.process.link.notify(body).await
    }

    /// Sends a notification of the hub's own, unless the child does not read
    /// what it gets.
    pub(in crate::upstream) fn tell(&self, body: Bytes) {
        self.process.link.reply(body);
    }

    /// [`Self::call`] for tests, which have no guard.
    #[cfg(test)]
    pub(in crate::upstream) async fn exchange(&self, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        self.process.link.exchange(outgoing).await
    }

    /// Whether the child has ended or is being stopped.
    pub fn is_closed(&self) -> bool {
        self.process.link.is_closed()
    }

    /// Stops the child: closes its standard input, then SIGTERM, then SIGKILL
    /// to its process group. Returns once it has been reaped.
    pub async fn stop(&self, reason: &str) {
        self.process.stop(reason).await;
    }
}

#[cfg(test)]
mod tests;
