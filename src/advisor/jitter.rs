//! A little disorder, so that probes of many servers do not march in step.

use std::time::Duration;

/// Pseudo-random numbers from a seed (SplitMix64): the same seed, the same schedule.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From nine tenths of `interval` up to all of it. Never more: the promise of when a dead server is out counts on
    /// it.
    pub(super) fn shorten(&mut self, interval: Duration) -> Duration {
        interval.saturating_sub(self.within(interval / 10))
    }

    /// From nothing up to `most`.
    pub(super) fn within(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.fraction())
    }

    /// 0 up to, not including, 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_tenth_and_repeats_with_its_seed() {
        let interval = Duration::from_secs(7);
        let draw = |seed| -> Vec<Duration> {
            let mut jitter = Jitter::new(seed);
            (0..1000).map(|_| jitter.shorten(interval)).collect()
        };
        assert!(draw(1).iter().all(|d| (Duration::from_millis(6300)..=interval).contains(d)));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
