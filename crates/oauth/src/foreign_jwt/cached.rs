//! Something of somebody else's that is fetched when needed and kept while
//! they are away.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use trunkline_model::Timestamp;

/// How long it counts as new.
const FRESH: Duration = Duration::from_hours(1);
/// How long it counts where it cannot be had anew.
const LAST_GOOD: Duration = Duration::from_hours(24);
/// How often it is asked for at most.
const PAUSE: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Cached<T> {
    known: ArcSwapOption<Known<T>>,
    /// Held by the one who asks.
    asked: Mutex<Asked>,
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Missed<E> {
    Failed(E),
    /// The one there is was not accepted, and is not asked for anew so soon.
    NotAmong,
    /// It could not be had a moment ago.
    JustAsked,
}

/// When it was last asked for.
#[derive(Debug, Default)]
struct Asked {
    /// Because there was none, or an old one.
    for_age: Option<Timestamp>,
    /// Because the one there is was not accepted.
    for_content: Option<Timestamp>,
}

#[derive(Debug)]
struct Known<T> {
    value: Arc<T>,
    at: Timestamp,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { known: ArcSwapOption::const_empty(), asked: Mutex::default() }
    }
}

impl<T> Cached<T> {
    /// The value, where `wanted` accepts it; asked for anew when it is old or
    /// not accepted, by one for all who wait, and seldom: callers decide what
    /// is not accepted.
    pub(crate) async fn get<E: Display>(
        &self,
        now: Timestamp,
        wanted: impl Fn(&T) -> bool,
        fetch: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, Missed<E>> {
        if let Some(value) = self.known(now, FRESH, &wanted) {
            return Ok(value);
        }
        let mut asked = self.asked.lock().await;
        if let Some(value) = self.known(now, FRESH, &wanted) {
            return Ok(value);
        }
        let is_new = self.known(now, FRESH, &|_| true).is_some();
        let asked_at = if is_new { &mut asked.for_content } else { &mut asked.for_age };
        let may_ask = asked_at.is_none_or(|asked_at| now.since(asked_at) >= PAUSE || now < asked_at);
        let failed = if may_ask {
            *asked_at = Some(now);
            match fetch().await {
                Ok(value) => {
                    self.known.store(Some(Arc::new(Known { value: Arc::new(value), at: now })));
                    None
                }
                Err(error) => Some(error),
            }
        } else {
            None
        };
        if let Some(error) = &failed {
            tracing::warn!(%error, "what is known of somebody could not be asked for anew, and stays");
        }
        if let Some(value) = self.known(now, LAST_GOOD, &wanted) {
            return Ok(value);
        }
        Err(match failed {
            Some(error) => Missed::Failed(error),
            None if self.known.load().is_some() => Missed::NotAmong,
            None => Missed::JustAsked,
        })
    }

    fn known(&self, now: Timestamp, age: Duration, wanted: &impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let known = self.known.load();
        let known = known.as_ref()?;
        (now.since(known.at) < age && wanted(&known.value)).then(|| Arc::clone(&known.value))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_mins(minutes))
    }

    #[tokio::test]
    async fn an_unknown_value_is_asked_for_once_a_minute_and_the_last_good_one_is_kept_a_day() {
        let (cached, asked) = (Cached::<u32>::default(), Cell::new(0));
        let get = async |minutes: u64, wanted: u32, answer: Option<u32>| {
            let fetch = async || {
                asked.set(asked.get() + 1);
                answer.ok_or("scripted")
            };
            cached.get(at(minutes), |value| *value == wanted, fetch).await.map(|value| *value).ok()
        };
        assert_eq!(get(0, 1, Some(1)).await, Some(1));
        assert_eq!((get(5, 1, None).await, asked.get()), (Some(1), 1), "new enough");
        assert_eq!((get(5, 2, Some(1)).await, asked.get()), (None, 2), "asked, and still unknown");
        assert_eq!((get(5, 2, Some(2)).await, asked.get()), (None, 2), "not twice in a minute");
        assert_eq!((get(6, 2, Some(2)).await, asked.get()), (Some(2), 3), "rotated");
        assert_eq!((get(67, 2, None).await, asked.get()), (Some(2), 4), "away: the last good one");
        assert_eq!(get(6 + 24 * 60, 2, None).await, None, "for a day");
    }
}
