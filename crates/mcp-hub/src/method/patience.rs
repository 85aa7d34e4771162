//! How long a request may take.

use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::UpstreamError;

/// How long a request may go on. Its progress buys time, as the client sees
/// that something happens, but not for ever (2025-11-25, basic/lifecycle,
/// "timeouts").
#[derive(Debug)]
pub(super) struct Patience {
    each: Duration,
    until: Instant,
    longest: Instant,
}

/// With progress, a request may take this many times its server's timeout.
const LONGEST: u32 = 12;

/// For how long a task is waited for, by its server's timeout: as long as it
/// may take, with no progress needed.
pub(super) fn for_task(each: Duration) -> Duration {
    each.saturating_mul(LONGEST)
}

impl Patience {
    /// Begins now; `each` is the server's timeout.
    pub(super) fn new(each: Duration) -> Self {
        let now = Instant::now();
        Self { each, until: now + each, longest: now + each.saturating_mul(LONGEST) }
    }

    /// What the server waits for is a person: that takes as long as it may.
    pub(super) fn wait_for_person(&mut self) {
        self.until = self.longest;
    }

    /// The error of a request whose time is over.
    pub(super) fn timed_out(&self) -> UpstreamError {
        UpstreamError::TimedOut { seconds: self.each.as_secs() }
    }

    pub(super) fn renew(&mut self) {
        self.until = self.longest.min(Instant::now() + self.each);
    }

    pub(super) async fn ended(&self) {
        tokio::time::sleep_until(self.until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn progress_buys_time_but_not_for_ever() {
        let each = Duration::from_secs(10);
        let start = Instant::now();
        Patience::new(each).ended().await;
        assert_eq!(start.elapsed(), each);
        let start = Instant::now();
        let mut patience = Patience::new(each);
        let mut renewals = 0;
        while tokio::time::timeout(each / 2, patience.ended()).await.is_err() {
            patience.renew();
            renewals += 1;
        }
        assert_eq!(start.elapsed(), each * LONGEST);
        assert!(renewals > LONGEST);
    }
}
