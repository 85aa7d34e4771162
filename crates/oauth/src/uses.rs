//! When things were last used: noted in memory at each use, written now and
//! then, so that no request waits for the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use trunkline_model::Timestamp;

#[derive(Debug)]
pub(crate) struct Uses<Id> {
    seen: RwLock<HashMap<Id, Use>>,
}

#[derive(Debug)]
struct Use {
    at: AtomicI64,
    written: AtomicI64,
}

impl<Id> Default for Uses<Id> {
    fn default() -> Self {
        Self { seen: RwLock::default() }
    }
}

impl<Id: Copy + Eq + Hash> Uses<Id> {
    /// Notes a use; the first one of an id alone takes the lock for itself.
    pub(crate) fn note(&self, id: Id, now: Timestamp) {
        let Ok(seen) = self.seen.read() else { return };
        if let Some(one) = seen.get(&id) {
            one.at.fetch_max(now.as_micros(), Ordering::Relaxed);
            return;
        }
        drop(seen);
        let Ok(mut seen) = self.seen.write() else { return };
        seen.entry(id)
            .or_insert_with(|| Use { at: AtomicI64::new(now.as_micros()), written: AtomicI64::new(0) });
    }

    /// When the id was last used, as far as this process has seen.
    pub(crate) fn last(&self, id: &Id) -> Option<Timestamp> {
        let seen = self.seen.read().ok()?;
        seen.get(id).map(|one| Timestamp::from_micros(one.at.load(Ordering::Relaxed)))
    }

    /// The uses that are later by `interval` than what was written of them,
    /// from now on taken for written.
    pub(crate) fn take_unwritten(&self, interval: Duration) -> Vec<(Id, Timestamp)> {
        let Ok(seen) = self.seen.read() else { return Vec::new() };
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        let is_news = |one: &Use| {
            let at = one.at.load(Ordering::Relaxed);
            (at.saturating_sub(one.written.load(Ordering::Relaxed)) >= interval).then_some(at)
        };
        seen.iter()
            .filter_map(|(id, one)| {
                let at = is_news(one)?;
                one.written.store(at, Ordering::Relaxed);
                Some((*id, Timestamp::from_micros(at)))
            })
            .collect()
    }

    /// Forgets what was not used for `age`.
    pub(crate) fn forget(&self, now: Timestamp, age: Duration) {
        if let Ok(mut seen) = self.seen.write() {
            seen.retain(|_, one| now.since(Timestamp::from_micros(one.at.load(Ordering::Relaxed))) < age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_once_in_an_interval() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let minute = Duration::from_mins(1);
        let uses = Uses::default();
        uses.note(1, at(1000));
        uses.note(2, at(1000));
        assert_eq!(uses.take_unwritten(minute).len(), 2);
        uses.note(1, at(1030));
        assert!(uses.take_unwritten(minute).is_empty(), "too soon");
        uses.note(1, at(1060));
        assert_eq!(uses.take_unwritten(minute), [(1, at(1060))]);
        uses.note(1, at(900));
        assert_eq!(uses.last(&1), Some(at(1060)), "the clock went back");
        uses.forget(at(1061), minute);
        assert_eq!(uses.last(&2), None);
    }
}
