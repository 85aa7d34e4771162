//! Instances that serve one downstream session each.
//!
//! A server behind a URL that gives its clients sessions keeps something for
//! them. It must not take two downstream sessions for one, so each gets an
//! upstream session of its own, which ends with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trunkline_model::{Endpoint, Identity};
use uuid::Uuid;

use super::{DRAIN, Instance, Refused, Server, Slot, Slots};
use crate::upstream::{Connection, Scope, UpstreamError};

impl Server {
    /// Whether the server, behind a URL, gives its clients sessions. One that
    /// did so once counts as such as long as it is configured as it is: what
    /// is shared by mistake cannot be taken back.
    pub(in crate::upstream::pool) fn keeps_sessions(&self) -> bool {
        self.gives_sessions.load(Ordering::Relaxed) && !self.is_modern()
    }

    /// Notes what a new link shows of the server.
    pub(in crate::upstream::pool) fn learn_from(&self, connection: &Connection) {
        if connection.has_session() {
            self.gives_sessions.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there is an instance for `scope`, or one is being started.
    pub(in crate::upstream::pool) fn serves(&self, scope: &Scope) -> bool {
        matches!(self.slots().by_scope.get(scope), Some(Slot::Ready(_) | Slot::Starting(_)))
    }

    /// The downstream sessions that have instances of their own.
    pub(in crate::upstream::pool) fn sessions(&self) -> Vec<Uuid> {
        let session = |scope: &Scope| match scope {
            Scope::Session(_, session, _) => Some(*session),
            Scope::Everybody | Scope::Identity(..) => None,
        };
        self.slots().by_scope.keys().filter_map(session).collect()
    }

    /// Whether an instance ends with its downstream session alone: ended
    /// sooner, what the server keeps for it would be lost. A child costs too
    /// much for that.
    pub(in crate::upstream::pool) fn ends_with_session(&self, scope: &Scope) -> bool {
        matches!((scope, &self.spec.endpoint), (Scope::Session(..), Endpoint::Http(_)))
    }

    /// Stops what serves one downstream session. What runs a task goes on,
    /// because the caller may come back for it.
    pub(in crate::upstream::pool) fn end_session(&self, session: Uuid) {
        let of_session = |scope: &Scope| matches!(scope, Scope::Session(_, id, _) if *id == session);
        let ended: Vec<_> = self
            .slots()
            .by_scope
            .extract_if(|scope, slot| of_session(scope) && !slot.is_kept())
            .filter_map(|(_, slot)| slot.ready())
            .collect();
        if !ended.is_empty() {
            self.close_later(ended, "its session ended", Duration::ZERO);
        }
    }

    /// Stops what serves whom `concerned` names, once it is not in use.
    pub(in crate::upstream::pool) fn end_instances(&self, concerned: impl Fn(Option<&Identity>) -> bool) {
        let ended: Vec<_> = self
            .slots()
            .by_scope
            .extract_if(|scope, slot| !matches!(slot, Slot::Starting(_)) && concerned(scope.identity()))
            .filter_map(|(_, slot)| slot.ready())
            .collect();
        if !ended.is_empty() {
            self.close_later(ended, "its grant changed", DRAIN);
        }
    }

    /// Makes sure that one more instance is within the bounds.
    ///
    /// # Errors
    /// [`UpstreamError::Busy`] when as many are in use as there may be.
    pub(super) fn make_room(&self, slots: &mut Slots, scope: &Scope) -> Result<(), Refused> {
        let limits = &self.outfit.parts.limits;
        let of_session = self.ends_with_session(scope);
        let limit = if of_session { limits.sessions } else { limits.instances };
        let alike = slots.by_scope.iter().filter(|(other, slot)| {
            !matches!(slot, Slot::Failed(_)) && self.ends_with_session(other) == of_session
        });
        if alike.count() < limit || (of_session && self.end_longest_idle(slots)) {
            return Ok(());
        }
        Err(Refused::Error(UpstreamError::Busy { limit }))
    }

    /// Ends a tenth of the sessions that nobody uses at this moment, those
    /// that were used longest ago; false when all are in use. A tenth at once,
    /// so that who opens sessions without end pays for few looks at all.
    fn end_longest_idle(&self, slots: &mut Slots) -> bool {
        let idle = |scope: &Scope, slot: &Slot| match slot {
            Slot::Ready(instance) if self.ends_with_session(scope) && !instance.is_kept() => {
                instance.idle_for()
            }
            Slot::Ready(_) | Slot::Starting(_) | Slot::Failed(_) => None,
        };
        let mut times: Vec<Duration> =
            slots.by_scope.iter().filter_map(|(scope, slot)| idle(scope, slot)).collect();
        let Some(last) = times.len().checked_sub(1) else { return false };
        let first_to_go = last - times.len() / 10;
        let (_, shortest_to_go, _) = times.select_nth_unstable(first_to_go);
        let shortest_to_go = *shortest_to_go;
        let ended: Vec<Arc<Instance>> = slots
            .by_scope
            .extract_if(|scope, slot| idle(scope, slot).is_some_and(|idle| idle >= shortest_to_go))
            .filter_map(|(_, slot)| slot.ready())
            .collect();
        tracing::warn!(server = %self.spec.name, ended = ended.len(), "too many sessions: the longest idle ones are ended");
        !ended.is_empty()
    }
}
