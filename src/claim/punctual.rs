//! Whether this process runs when it should.

use std::time::Instant;

use super::LEASE;

/// Who was late by more than the lease trusts nothing it knew, and has to be on time for as long before it speaks again.
#[derive(Debug)]
pub(super) struct Punctuality {
    last: Instant,
    late: Option<Instant>,
}

impl Punctuality {
    pub fn new(now: Instant) -> Self {
        Self { last: now, late: None }
    }

    pub fn tick(&mut self, now: Instant) {
        self.look(now);
        self.last = now;
    }

    pub fn is_on_time(&mut self, now: Instant) -> bool {
        self.look(now);
        self.late.is_none_or(|late| now.saturating_duration_since(late) >= LEASE)
    }

    fn look(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) > LEASE {
            self.late = Some(now);
        }
    }
}
