//! A group that moves too often stays where it is for a while.

use std::time::{Duration, Instant};

/// Counts how often one of the two began to claim a group, as far as this dispatcher knows: its own claims, and those that it was
/// told of. So a dispatcher that restarts in a loop, and forgets its own, is damped by the other one.
#[derive(Clone, Debug, Default)]
pub(super) struct Damper {
    recent: [Option<Instant>; CHANGES],
    until: Option<Instant>,
}

/// So many claims...
const CHANGES: usize = 3;
/// ...within this time...
const WITHIN: Duration = Duration::from_secs(60);
/// ...and no further one of our own choice for so long.
const REST: Duration = Duration::from_secs(60);

impl Damper {
    /// Somebody began to claim.
    pub fn note(&mut self, now: Instant) {
        self.recent.rotate_left(1);
        if let Some(last) = self.recent.last_mut() {
            *last = Some(now);
        }
        let oldest = self.recent.first().copied().flatten();
        if oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) <= WITHIN) {
            self.until = Some(now + REST);
        }
    }

    /// No change of our own choice now. Changes without which nobody would be active are not of our choice.
    pub fn rests(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}
