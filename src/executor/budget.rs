//! How many second attempts there may be: a share of the requests, so that they never become the load that brings the rest down.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use super::clock::millis;

/// The budget of one port on one lane. Written by its worker alone.
#[derive(Debug)]
pub(super) struct Budget {
    /// Hundredths of an attempt.
    left: AtomicI64,
    /// Requests that have paid in already.
    paid: AtomicU64,
    /// When the allowance was given last.
    at: AtomicU64,
}

/// Attempts that may come at once: a server that dies leaves as many behind as clients were waiting for it.
const MOST: i64 = 100;
/// Attempts a second that are always allowed, so that a site with few requests is not without.
const ALLOWANCE: i64 = 10;
const HUNDREDTHS: i64 = 100;

impl Default for Budget {
    fn default() -> Self {
        // The first allowance is that of all time, and what is saved up is at its bound already.
        Self { left: AtomicI64::new(MOST * HUNDREDTHS), paid: AtomicU64::new(0), at: AtomicU64::new(0) }
    }
}

impl Budget {
    /// Takes one attempt out. `requests` is how many the lane has had in all, `percent` what each hundred of them pay in; 100: no
    /// bound.
    pub fn take(&self, requests: u64, percent: u8, now: Instant) -> bool {
        if percent >= 100 {
            return true;
        }
        let millis = millis(now);
        let before = self.at.swap(millis, Ordering::Relaxed);
        let allowance = i64::try_from(millis.saturating_sub(before)).unwrap_or(i64::MAX).min(60_000) * ALLOWANCE / 10;
        let new = requests.saturating_sub(self.paid.swap(requests, Ordering::Relaxed));
        let paid_in = i64::try_from(new).unwrap_or(i64::MAX).min(1_000_000) * i64::from(percent);
        let left = (self.left.load(Ordering::Relaxed) + allowance + paid_in).min(MOST * HUNDREDTHS);
        let may = left >= HUNDREDTHS;
        self.left.store(if may { left - HUNDREDTHS } else { left }, Ordering::Relaxed);
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fifth_of_the_requests_and_a_few_at_once() {
        let (budget, start) = (Budget::default(), Instant::now());
        let taken = |requests, now| (0..1000).filter(|_| budget.take(requests, 20, now)).count();
        assert_eq!(taken(0, start), 100);
        assert_eq!(taken(200, start), 40);
        assert_eq!(taken(200, start + Duration::from_secs(1)), 10);
        assert_eq!(taken(1_000_000, start + Duration::from_secs(1)), 100, "what was saved up has a bound");
        assert!((0..1000).all(|_| budget.take(0, 100, start)));
    }
}
