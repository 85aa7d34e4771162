//! HTTP in and out: the listener, its checks, problem+json, server-sent
//! events, the outbound client.
//!
//! What comes in passes [`front`]'s layers in their order; what goes out
//! passes [`Egress`], the only outbound HTTP client; [`Outbound`] is its guarded
//! form for URLs that others name.

pub mod body;
mod cors;
pub mod egress;
mod forwarded;
pub mod front;
pub mod gate;
pub mod listen;
pub mod log;
pub mod outbound;
pub mod problem;
pub mod request_id;
pub mod rescue;
pub mod sse;
pub mod tasks;

pub use cors::ReadableByPages;
pub use egress::{Egress, EgressError, OutboundPolicy, OutboundPolicyError};
pub use forwarded::{TrustedProxies, TrustedProxiesError};
pub use front::front;
pub use gate::Gate;
pub use listen::{Limits, Peer, serve, serve_unix};
pub use outbound::{Outbound, OutboundError};
pub use problem::Problem;
pub use request_id::RequestId;
pub use tasks::Tasks;
