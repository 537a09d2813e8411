//! How fast servers of one port may be taken out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::model::MAX_SERVERS_PER_PORT;

/// The recent removals of one port. In any stretch of one interval there are at most as many as allowed, except those
/// that nobody can put off.
#[derive(Clone, Debug, Default)]
pub(super) struct Velocity {
    /// Oldest first; only those that may still count, at most [`MOST`].
    removals: VecDeque<Instant>,
}

impl Velocity {
    /// How many of `servers` may be taken out within one interval.
    pub(super) fn allowance(servers: usize) -> usize {
        (servers / 5).max(1)
    }

    /// Records a removal if the allowance still permits one.
    pub(super) fn remove(&mut self, allowed: usize, interval: Duration, now: Instant) -> bool {
        self.forget(interval, now);
        if self.removals.len() >= allowed {
            return false;
        }
        self.removals.push_back(now);
        true
    }

    /// Records a removal that happens whatever the allowance says. It uses the allowance up all the same.
    pub(super) fn force(&mut self, interval: Duration, now: Instant) {
        self.forget(interval, now);
        self.removals.push_back(now);
        // Not today's allowance, but the largest there is: servers that are quiesced for a moment lower today's, and
        // what is forgotten then would be missing when they are back.
        if self.removals.len() > MOST {
            self.removals.pop_front();
        }
    }

    /// When the next removal is allowed, if none is at `now`. `None`: it is, or never will be.
    pub(super) fn free_at(&self, allowed: usize, interval: Duration) -> Option<Instant> {
        let blocking = self.removals.len().checked_sub(allowed)?;
        self.removals.get(blocking)?.checked_add(interval)
    }

    fn forget(&mut self, interval: Duration, now: Instant) {
        self.removals.retain(|at| now.saturating_duration_since(*at) < interval);
    }
}

/// The largest allowance of any port. A server that comes back and is refused again and again, within one long
/// interval, adds a removal each time; beyond this number the oldest no longer matters.
const MOST: usize = MAX_SERVERS_PER_PORT / 5;
