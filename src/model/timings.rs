//! How often heartbeats are sent, and how long a silence is a death.

use std::fmt;
use std::time::Duration;

/// The times of a pair. Both dispatchers should have the same; when they differ, the longer patience counts on both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timings {
    interval: Duration,
    dead: Duration,
}

impl Timings {
    /// For two or more paths.
    pub const STANDARD: Self = Self { interval: Duration::from_millis(100), dead: Duration::from_millis(300) };
    /// For quiet links and machines with time to spare.
    pub const FAST: Self = Self { interval: Duration::from_millis(20), dead: Duration::from_millis(100) };
    /// IBM's, and the default with a single path: one path that loses a tenth of its packets would raise a false alarm every
    /// few minutes with the shorter ones.
    pub const IBM: Self = Self { interval: Duration::from_millis(500), dead: Duration::from_secs(2) };

    /// Shorter intervals cost more than they tell.
    pub const LEAST_INTERVAL: Duration = Duration::from_millis(10);
    /// Enough for virtual machines that are moved while they run.
    pub const MOST_DEAD: Duration = Duration::from_secs(60);
    /// Heartbeats that fit into the dead time at least: two may be lost before anybody worries.
    pub const LEAST_BEATS: u32 = 3;
    /// Quick probes on every path before a silent partner is given up.
    pub const QUICK_PROBES: u32 = 5;

    /// The profile for a pair with so many paths.
    pub fn for_paths(paths: usize) -> Self {
        if paths > 1 { Self::STANDARD } else { Self::IBM }
    }

    /// Times of the operator's own: the interval, and `hatimeout`.
    pub fn new(interval: Duration, dead: Duration) -> Result<Self, TimingsError> {
        if interval < Self::LEAST_INTERVAL {
            return Err(TimingsError::IntervalTooShort { interval });
        }
        if dead > Self::MOST_DEAD {
            return Err(TimingsError::DeadTooLong { dead });
        }
        if dead < interval.saturating_mul(Self::LEAST_BEATS) {
            return Err(TimingsError::TooFewBeats { interval, dead });
        }
        Ok(Self { interval, dead })
    }

    /// Between two heartbeats.
    pub fn interval(self) -> Duration {
        self.interval
    }

    /// Silence on all paths for so long means that the partner is dead, if a last look agrees.
    pub fn dead(self) -> Duration {
        self.dead
    }

    /// How long a heartbeat that was sent lets its sender claim. It ends before anybody who heard that heartbeat thinks the
    /// sender dead, by a margin for delay and for clocks that drift.
    pub fn lease(self) -> Duration {
        self.dead * 4 / 5
    }

    /// The last look.
    pub fn probing(self) -> Duration {
        (self.dead / 4).min(Duration::from_millis(50))
    }

    /// Between two quick probes, and between two requests of a planned hand-over.
    pub fn quick(self) -> Duration {
        self.probing() / Self::QUICK_PROBES
    }
}

/// Why times are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimingsError {
    IntervalTooShort { interval: Duration },
    DeadTooLong { dead: Duration },
    TooFewBeats { interval: Duration, dead: Duration },
}

impl fmt::Display for TimingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntervalTooShort { interval } => {
                let least = Timings::LEAST_INTERVAL;
                write!(out, "a heartbeat every {interval:?} is too often: {least:?} is the shortest interval")
            }
            Self::DeadTooLong { dead } => {
                write!(out, "hatimeout {dead:?} is too long: {:?} is the longest", Timings::MOST_DEAD)
            }
            Self::TooFewBeats { interval, dead } => {
                let least = interval.saturating_mul(Timings::LEAST_BEATS);
                write!(out, "hatimeout {dead:?} is too short for a heartbeat every {interval:?}: at least {least:?}")
            }
        }
    }
}

impl std::error::Error for TimingsError {}
