//! An upstream MCP server as the catalogue admits it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Secret, ServerAuth, ServerName};

/// Everything the hub needs to reach one upstream server.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    pub name: ServerName,
    pub endpoint: Endpoint,
    pub era: EraPin,
    /// How many live instances (children or upstream sessions) there are.
    pub instances: Instances,
    /// What nobody has used for this long is ended; the next call starts it again. An upstream
    /// session that serves one downstream session ends with that alone.
    pub idle_timeout: Duration,
    /// A call without an answer for this long is given up and cancelled upstream.
    pub call_timeout: Duration,
}

impl ServerSpec {
    /// Whether each person shows it a credential of their own.
    pub fn has_own_credentials(&self) -> bool {
        matches!(&self.endpoint, Endpoint::Http(endpoint) if endpoint.auth.is_per_user())
    }
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A child process that speaks MCP on its standard input and output.
    Stdio(Command),
    /// A server behind a URL.
    Http(HttpEndpoint),
}

/// A program and its arguments: no shell ever sees them.
#[derive(Debug, Clone)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    /// The whole environment of the child besides `PATH`, `HOME` and the like.
    pub env: BTreeMap<String, Secret>,
    pub cwd: Option<PathBuf>,
}

/// A server behind a URL, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct HttpEndpoint {
    /// Absolute, `http` or `https`, no user information; checked when the configuration is read.
    pub url: String,
    pub transport: HttpTransport,
    pub headers: Vec<(String, Secret)>,
    pub auth: ServerAuth,
}

/// Which HTTP transport of MCP the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpTransport {
    /// Streamable HTTP, and HTTP+SSE when the server refuses that.
    #[default]
    Auto,
    /// Streamable HTTP (2025-03-26 and later).
    StreamableHttp,
    /// HTTP+SSE (2024-11-05).
    Sse,
}

/// Which era of the protocol to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EraPin {
    /// Ask the server with `server/discover`, fall back to `initialize`.
    #[default]
    Auto,
    /// 2026-07-28 and later: stateless, metadata on each request.
    Modern,
    /// 2025-11-25 and older: `initialize` and sessions.
    Legacy,
}

/// Who shares a child or an upstream session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// One for each identity: two people never share one. A server behind a URL that gives
    /// sessions has one for each downstream session.
    #[default]
    PerUser,
    /// One for everybody.
    Shared,
    /// One for each downstream session; a client without sessions counts as its identity.
    PerSession,
}
