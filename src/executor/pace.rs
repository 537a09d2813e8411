//! How fast a server answers: a peak-sensitive moving average (linkerd's "peak EWMA").

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::clock::millis;

/// Response times of one server, shared by all workers. Two workers that record at the same moment may lose one of both
/// records: an average does not mind.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Microseconds as bits of an `f64`.
    peak: AtomicU64,
    /// When it was recorded, in milliseconds.
    at: AtomicU64,
    /// Bytes that no longer count as recent.
    pub forgotten: AtomicU64,
}

/// Milliseconds after which half of a peak is forgotten.
const HALF_LIFE: f64 = 10_000.0;

impl Pace {
    pub fn record(&self, now: Instant, micros: u64) {
        let now = millis(now);
        let (sample, known) = (micros as f64, self.read(now));
        // A slower answer counts at once; a faster one an eighth, so that one lucky answer hides no trouble.
        let peak = if sample > known { sample } else { known + (sample - known) / 8.0 };
        self.peak.store(peak.to_bits(), Ordering::Relaxed);
        self.at.store(now, Ordering::Relaxed);
    }

    /// `now` as [`millis`] has it: who compares many servers asks the clock once.
    pub fn read(&self, now: u64) -> f64 {
        let peak = f64::from_bits(self.peak.load(Ordering::Relaxed));
        let age = now.saturating_sub(self.at.load(Ordering::Relaxed)) as f64;
        // Half of it after one half-life, a third after two: near enough to 2^-x, and no call.
        (peak / (1.0 + age / HALF_LIFE)).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn peaks_rise_at_once_and_fall_slowly() {
        let (pace, start) = (Pace::default(), Instant::now());
        let read = |after| pace.read(millis(start + Duration::from_secs(after)));
        assert_eq!(read(0), 1.0);
        pace.record(start, 1000);
        pace.record(start, 9000);
        assert_eq!(read(0), 9000.0);
        pace.record(start, 1000);
        assert_eq!(read(0), 8000.0);
        assert_eq!(read(10), 4000.0);
        assert!(read(3600) < 30.0);
    }
}
