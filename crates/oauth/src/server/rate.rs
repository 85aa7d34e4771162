//! How often one source may do something.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use trunkline_model::Timestamp;

const HOUR: Duration = Duration::from_hours(1);
/// Sources that are remembered; beyond that the fullest hour is forgotten.
const MOST_SOURCES: usize = 10_000;

/// Counts in windows of an hour, for each source.
#[derive(Debug)]
pub(super) struct Rate {
    most: u32,
    sources: Mutex<HashMap<String, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Timestamp,
    count: u32,
}

impl Rate {
    pub(super) fn per_hour(most: u32) -> Self {
        Self { most, sources: Mutex::default() }
    }

    /// Counts one more for `source`; false when it has had its share.
    pub(super) fn take(&self, source: &str, now: Timestamp) -> bool {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MOST_SOURCES && !sources.contains_key(source) {
            sources.retain(|_, window| now.since(window.since) < HOUR);
            if sources.len() >= MOST_SOURCES {
                // So many sources within an hour are one attacker: nobody new gets in.
                return false;
            }
        }
        let window = sources.entry(source.to_owned()).or_insert(Window { since: now, count: 0 });
        if now.since(window.since) >= HOUR {
            *window = Window { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        window.count <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_share_of_an_hour() {
        let rate = Rate::per_hour(2);
        let start = Timestamp::from_micros(0);
        assert!(rate.take("a", start) && rate.take("a", start) && !rate.take("a", start));
        assert!(rate.take("b", start));
        assert!(rate.take("a", start.plus(HOUR)));
    }
}
