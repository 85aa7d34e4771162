//! What a caller may do: the one door to every server.
//!
//! ```text
//! EffectiveProfile::new(&spec)                    compiled once for each configuration
//! AuditLog::start(store, directory, clock).await   one chain for each process
//! Guard::new(audit, clock)
//!
//! guard.admit(&caller, &profile, asked)           synchronous, no I/O
//!   Ok(permit)     permit.settle(outcome, bytes)   then the answer may leave
//!   Err(refusal)   refusal.record()                then the answer may leave
//! guard.refuse(request)                           refused before a server was known
//! guard.housekeeping(&server)                     the hub's own questions: no event
//! ```
//!
//! An upstream call takes a [`Permit`], and only the guard makes one. Each
//! admitted or refused request becomes one event of the audit trail, also
//! when its permit or refusal is dropped. An event is durable when its call
//! returns; when the trail cannot be written, [`AuditUnavailable`] says so and
//! the answer must not leave.
//!
//! [`verify`] checks the trail, [`Export`] reads it.

mod audit;
mod effective;
mod guard;

pub use audit::{AuditLog, AuditUnavailable, Export, Fault, FaultKind, VerifyReport, verify};
pub use effective::{EffectiveProfile, ProfileError};
pub use guard::{Acted, Asked, Guard, Kind, Permit, Recording, Refusal, RefusedRequest};

#[cfg(test)]
mod fixture;
