//! Server-sent events (WHATWG HTML section 9.2): an incremental reader for
//! what upstreams stream to us, and a writer for what we stream to clients.

mod reader;
mod writer;

pub use reader::{Event, Reader, TooLarge};
pub use writer::{comment, event};

/// The media type of an event stream.
pub const MEDIA_TYPE: &str = "text/event-stream";
