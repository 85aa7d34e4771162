//! The audit trail: one hash-chained line for each request, durable before
//! its answer leaves.
//!
//! A chain is one process's events, numbered from 1. The hash of a line is
//! SHA-256 over the hash before, the number as eight bytes (big-endian) and
//! the event's JSON exactly as stored; before the first line stands SHA-256
//! over the chain's sixteen id bytes. A line that was edited, removed or moved
//! breaks its chain. Removing the last lines of a chain that has ended leaves
//! a shorter, whole chain: the chain alone does not show it.

mod chain;
mod export;
mod keeper;
mod log;
mod verify;

pub use export::Export;
pub(crate) use log::id_at;
pub use log::{AuditLog, AuditUnavailable};
pub use verify::{Fault, FaultKind, VerifyReport, verify};

#[cfg(test)]
mod tests;
