//! Malformed and dishonest input, from clients and from servers: each row
//! names the exact answer, that no server was contacted, and that the refusal
//! is in the trail.

mod counters;
mod coverage;
mod credentials;
mod fields;
mod framing;
mod headers;
mod host_and_origin;
mod identity_providers;
mod incidents;
mod lists;
mod messages;
mod mirrored_arguments;
mod names;
mod paths;
mod questions;
mod secrets;
mod server_answers;
mod server_streams;
mod session_ids;
mod slow;
mod stage;
mod streams;
mod tenants;
mod upstream_tokens;
