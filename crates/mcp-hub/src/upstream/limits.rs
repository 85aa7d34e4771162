//! How much one upstream server may take of the hub.

use std::time::Duration;

/// Bounds that hold for each server by itself, so that none of them can take
/// what the others need.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest message from a server, in bytes.
    pub message_bytes: usize,
    /// Requests in flight to one server, over all of its instances.
    pub in_flight: usize,
    /// Live instances of one server, but for those that `sessions` counts.
    pub instances: usize,
    /// Sessions with one server over HTTP that each serve one downstream
    /// session. When there would be more, those that nobody has used for
    /// longest are ended. Each may hold a connection for the server's stream.
    pub sessions: usize,
    /// Instances of one server that start at the same time; others wait.
    pub starts: usize,
    /// From the decision to start an instance to the end of its handshake,
    /// waiting for its turn included.
    pub start_timeout: Duration,
    /// How long an answer to `server/discover` is waited for. Python servers
    /// take about 2 s to import before they read anything.
    pub discover_timeout: Duration,
    /// Lines kept of what a child writes to its standard error.
    pub log_lines: usize,
    /// Bytes kept of what a child writes to its standard error.
    pub log_bytes: usize,
    /// How long a child may take to end by itself once its standard input is closed.
    pub close_grace: Duration,
    /// How long a child may take to end after SIGTERM, before SIGKILL.
    pub terminate_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 20,
            in_flight: 256,
            instances: 1024,
            sessions: 4096,
            starts: 8,
            start_timeout: Duration::from_mins(1),
            discover_timeout: Duration::from_secs(10),
            log_lines: 1000,
            log_bytes: 256 << 10,
            close_grace: Duration::from_secs(2),
            terminate_grace: Duration::from_secs(3),
        }
    }
}
