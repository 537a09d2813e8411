//! A bound on how often something is done: as fast as it likes for a moment, at a rate in the long run.

use std::time::{Duration, Instant};

/// A token bucket, kept as the time at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    interval: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

impl Bucket {
    /// One in each interval, and so many at once after a pause.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst: interval * burst.saturating_sub(1), full_at: None }
    }

    /// Whether there is a token; it is taken.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        let fits = full_at.saturating_duration_since(now) <= self.burst;
        if fits {
            self.full_at = Some(full_at + self.interval);
        }
        fits
    }
}
