//! How often a password may be tried. Nobody is locked out: a bucket refills,
//! and a browser in which somebody has signed in before has a bucket of its
//! own, which a stranger cannot empty.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use trunkline_model::Timestamp;

/// Buckets of a table; two that share one share its bound.
const SLOTS: usize = 8192;

/// A bucket that holds `burst` attempts and gains one each `interval`.
#[derive(Debug, Clone, Copy)]
struct Pace {
    burst: u32,
    interval: Duration,
}

/// One login from one address, or one browser that is known.
const BY_PERSON: Pace = Pace { burst: 5, interval: Duration::from_secs(30) };
/// One login from anywhere: guesses spread over many addresses.
const BY_LOGIN: Pace = Pace { burst: 50, interval: Duration::from_secs(20) };
/// One address with whatever logins.
const BY_ADDRESS: Pace = Pace { burst: 30, interval: Duration::from_secs(3) };

#[derive(Debug)]
pub(crate) struct Attempts {
    /// When each bucket is full again, in microseconds.
    full_at: Mutex<Vec<i64>>,
    hasher: RandomState,
}

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try<'a> {
    pub(crate) login: &'a str,
    /// None for a process on this machine.
    pub(crate) address: Option<IpAddr>,
    /// The browser has proved before that it is this login's.
    pub(crate) known_browser: Option<&'a str>,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { full_at: Mutex::new(vec![0; SLOTS]), hasher: RandomState::new() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// How long to wait; then nothing is counted.
    pub(crate) fn begin(&self, attempt: Try<'_>, now: Timestamp) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = self.buckets(attempt);
        let wait = buckets.iter().filter_map(|(slot, pace)| pace.wait(full_at[*slot], now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (slot, pace) in buckets {
            full_at[slot] = pace.later(full_at[slot].max(now.as_micros()));
        }
        Ok(())
    }

    /// The password was right: whoever it was may mistype again.
    pub(crate) fn succeeded(&self, attempt: Try<'_>) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, _)) = self.buckets(attempt).first() {
            full_at[*slot] = 0;
        }
    }

    /// Nothing was held against the password: it was no attempt.
    pub(crate) fn withdrawn(&self, attempt: Try<'_>) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        for (slot, pace) in self.buckets(attempt) {
            full_at[slot] = pace.earlier(full_at[slot]);
        }
    }

    /// The buckets that an attempt draws from, the person's first.
    fn buckets(&self, attempt: Try<'_>) -> Vec<(usize, Pace)> {
        let slot = |key: (u8, &str, Option<IpAddr>)| {
            usize::try_from(self.hasher.hash_one(key) % SLOTS as u64).unwrap_or(0)
        };
        if let Some(browser) = attempt.known_browser {
            return vec![(slot((0, browser, None)), BY_PERSON)];
        }
        let address = attempt.address.map(neighbourhood);
        let mut buckets =
            vec![(slot((1, attempt.login, address)), BY_PERSON), (slot((2, attempt.login, None)), BY_LOGIN)];
        // Behind a proxy on this machine everybody has its address.
        if let Some(address) = address.filter(|address| !address.is_loopback()) {
            buckets.push((slot((3, "", Some(address))), BY_ADDRESS));
        }
        buckets
    }
}

impl Pace {
    fn wait(self, full_at: i64, now: Timestamp) -> Option<Duration> {
        let most = self.interval * (self.burst - 1);
        let ahead = Timestamp::from_micros(full_at).since(now);
        ahead.checked_sub(most).filter(|wait| !wait.is_zero())
    }

    fn later(self, full_at: i64) -> i64 {
        Timestamp::from_micros(full_at).plus(self.interval).as_micros()
    }

    fn earlier(self, full_at: i64) -> i64 {
        full_at.saturating_sub(i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX))
    }
}

/// One customer of an IPv6 network has a whole /64 (RFC 6177).
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None if address.is_loopback() => IpAddr::V6(address),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use trunkline_model::{Clock as _, ManualClock};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn from(login: &str, last: u8) -> Try<'_> {
        Try { login, address: Some(IpAddr::from([192, 0, 2, last])), known_browser: None }
    }

    #[test]
    fn guesses_are_slowed_down_and_go_on_after_a_while() {
        let clock = ManualClock::starting_at(NOW);
        let attempts = Attempts::new();
        let tries =
            |count: usize| (0..count).filter(|_| attempts.begin(from("ann", 1), clock.now()).is_ok()).count();
        assert_eq!(tries(20), 5);
        let wait = attempts.begin(from("ann", 1), clock.now()).expect_err("too many");
        assert!(wait <= BY_PERSON.interval && !wait.is_zero(), "{wait:?}");
        clock.advance(wait);
        assert_eq!(tries(20), 1);
        clock.advance(Duration::from_mins(10));
        assert_eq!(tries(20), 5);
    }

    #[test]
    fn a_stranger_does_not_lock_out_who_comes_from_elsewhere_or_is_known() {
        let attempts = Attempts::new();
        while attempts.begin(from("ann", 1), NOW).is_ok() {}
        assert!(attempts.begin(from("ann", 2), NOW).is_ok());
        // Guesses from very many addresses.
        for last in 3..=255 {
            let _ = attempts.begin(from("ann", last), NOW);
        }
        let wait = attempts.begin(from("ann", 2), NOW).expect_err("from nowhere");
        assert!(wait <= BY_LOGIN.interval, "{wait:?}");
        let known = Try { known_browser: Some("seal"), ..from("ann", 2) };
        assert!(attempts.begin(known, NOW).is_ok());
    }

    #[test]
    fn one_address_cannot_try_very_many_logins() {
        let attempts = Attempts::new();
        let logins: Vec<String> = (0..200).map(|number| format!("user-{number}")).collect();
        let tried = logins.iter().filter(|login| attempts.begin(from(login, 1), NOW).is_ok()).count();
        assert!(tried <= 30, "{tried}");
        let one = |text: &str| neighbourhood(text.parse().expect("an address"));
        assert_eq!(one("2001:db8::1"), one("2001:db8::ffff:2"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
    }

    #[test]
    fn a_right_password_gives_back_the_attempts() {
        let attempts = Attempts::new();
        for _ in 0..4 {
            attempts.begin(from("ann", 1), NOW).expect("allowed");
        }
        attempts.succeeded(from("ann", 1));
        assert_eq!((0..20).filter(|_| attempts.begin(from("ann", 1), NOW).is_ok()).count(), 5);
    }
}
