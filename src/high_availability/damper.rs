//! A group that moves too often stays where it is for a while.

use std::time::{Duration, Instant};

/// Counts the changes of one group on this dispatcher.
#[derive(Clone, Debug, Default)]
pub(super) struct Damper {
    recent: [Option<Instant>; CHANGES],
    until: Option<Instant>,
}

/// So many changes...
const CHANGES: usize = 3;
/// ...within this time...
const WITHIN: Duration = Duration::from_secs(60);
/// ...and no further one of our own choice for so long.
const REST: Duration = Duration::from_secs(60);

impl Damper {
    /// This dispatcher began or ceased to be active.
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
