//! The MCP data plane: downstream clients, upstream servers, the catalogue
//! between them.
//!
//! A request comes in through [`downstream`], becomes a `method::Request`,
//! passes the one door (`trunkline_profiles::Guard`) and goes out through
//! [`upstream`]. Lists are answered from the catalogue; what a server asks back
//! finds its way to the client over the `bridge`.

mod bridge;
mod catalog;
mod downstream;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hub;
pub mod jsonrpc;
mod method;
pub mod upstream;

pub use downstream::router;
pub use hub::{Hub, HubConfig, Limits, Missing, Parts, Probe, ShownTool};
