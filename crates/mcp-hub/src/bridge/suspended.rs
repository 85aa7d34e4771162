//! Calls of modern clients that wait, at a legacy server, for an answer of
//! their client. The client comes back with a request of its own, which goes
//! on with the very call: it is never made twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::method::Parked;

/// How long a call waits for its client.
const LIFETIME: Duration = Duration::from_mins(15);
/// Calls that wait at the same time, in all and of one caller.
const MOST: usize = 4096;
const MOST_OF_ONE: usize = 64;

/// The suspended calls, by the handle that their client was given (sealed).
#[derive(Debug, Default)]
pub(crate) struct Suspended(Mutex<HashMap<Uuid, (Instant, Parked)>>);

impl Suspended {
    /// Keeps a call; gives it back when too many wait.
    pub(crate) fn park(&self, handle: Uuid, call: Parked) -> Result<(), Box<Parked>> {
        let mut calls = self.lock();
        let of_caller = calls.values().filter(|(_, other)| other.identity() == call.identity()).count();
        if calls.len() >= MOST || of_caller >= MOST_OF_ONE {
            return Err(Box::new(call));
        }
        calls.insert(handle, (Instant::now() + LIFETIME, call));
        Ok(())
    }

    /// Takes a call to go on with it; none when it is over, or somebody has.
    pub(crate) fn take(&self, handle: Uuid) -> Option<Parked> {
        self.lock().remove(&handle).map(|(_, call)| call)
    }

    /// Gives up the calls whose client did not come back in time: dropped,
    /// they are cancelled at their servers.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let over: Vec<_> = self.lock().extract_if(|_, (until, _)| *until <= now).collect();
        drop(over);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (Instant, Parked)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
