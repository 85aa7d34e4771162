//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use crate::era::Eras;

/// An MCP server for tests: every feature of both eras of the protocol, and misbehaviour on demand.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "reference-server", version)]
pub(crate) struct Options {
    /// Serves streamable HTTP at /mcp of this loopback address. Port 0 takes a free one; the first line on
    /// standard output says which.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "stdio", required_unless_present = "stdio")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serves standard input and output, until the input ends.
    #[arg(long)]
    pub(crate) stdio: bool,
    #[command(flatten)]
    pub(crate) conduct: Conduct,
}

/// How the server conducts itself, for all clients alike.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Conduct {
    /// The era it speaks. A pinned server answers the other era as a server answers that has never heard of it.
    #[arg(long, value_enum, default_value_t = Eras::Both)]
    pub(crate) era: Eras,
    /// Waits so long before it answers a call of a tool.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// Cuts the lists of tools, prompts and resources into pages of so many entries.
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) page_size: Option<NonZeroUsize>,
    /// Misbehaves: every page of a list names the same next page, for ever.
    #[arg(long)]
    pub(crate) endless_pages: bool,
    /// Over HTTP, answers requests of the modern era with JSON instead of an event stream wherever one message is
    /// the whole answer.
    #[arg(long)]
    pub(crate) json_responses: bool,
}
