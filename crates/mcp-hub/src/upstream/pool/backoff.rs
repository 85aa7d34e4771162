//! How long a server that fails is left alone.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after so many failures in a row: none, then 0.5 s, doubling to 30 s.
pub(super) fn delay(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            2_u32.checked_pow(doublings).map_or(LONGEST, |factor| LONGEST.min(FIRST.saturating_mul(factor)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let seconds: Vec<f64> = (0..9).map(|failures| delay(failures).as_secs_f64()).collect();
        assert_eq!(seconds, [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }
}
