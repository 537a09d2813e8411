//! Room in the plan: runs of lines, given out and taken back.

use std::time::{Duration, Instant};

use crate::packet::layout::PLAN_LINES;

/// Lines of the plan that nobody uses, and those that a packet on its way might still read.
#[derive(Debug)]
pub struct Lines {
    /// Sorted by start, no two of them adjacent.
    free: Vec<Run>,
    resting: Vec<(Run, Instant)>,
}

/// Neighbouring lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    pub start: u32,
    pub length: u32,
}

/// A packet is done within microseconds; this is long enough for a machine that stands still in between.
pub const REST: Duration = Duration::from_secs(1);

impl Lines {
    /// All lines but the first, which stays empty: a service without a policy finds nothing there.
    pub fn new() -> Self {
        Self { free: vec![Run { start: 1, length: PLAN_LINES - 1 }], resting: Vec::new() }
    }

    /// Takes out a run that is in use already; for plans that are adopted.
    pub fn reserve(&mut self, run: Run) {
        let end = run.start.saturating_add(run.length);
        let free = std::mem::take(&mut self.free);
        for piece in free {
            let before = Run { start: piece.start, length: run.start.clamp(piece.start, piece.end()) - piece.start };
            let after_start = end.clamp(piece.start, piece.end());
            let after = Run { start: after_start.max(before.end()), length: 0 };
            let after = Run { length: piece.end() - after.start, ..after };
            self.free.extend([before, after].into_iter().filter(|piece| piece.length > 0));
        }
    }

    /// A run of this many lines, the first that fits. `None`: there is none.
    pub fn take(&mut self, length: u32, now: Instant) -> Option<Run> {
        self.wake(now);
        let place = self.free.iter().position(|run| run.length >= length)?;
        let run = self.free.get_mut(place)?;
        let taken = Run { start: run.start, length };
        run.start += length;
        run.length -= length;
        if run.length == 0 {
            self.free.remove(place);
        }
        Some(taken)
    }

    /// Gives a run back. It rests before it is given out again.
    pub fn give_back(&mut self, run: Run, now: Instant) {
        if run.length > 0 {
            self.resting.push((run, now + REST));
        }
    }

    /// Lines that can be given out at once.
    pub fn free(&self) -> u32 {
        self.free.iter().map(|run| run.length).sum()
    }

    fn wake(&mut self, now: Instant) {
        let rested = self.resting.extract_if(.., |(_, until)| *until <= now).map(|(run, _)| run);
        self.free.extend(rested);
        self.free.sort_by_key(|run| run.start);
        let mut merged: Vec<Run> = Vec::with_capacity(self.free.len());
        for run in self.free.drain(..) {
            match merged.last_mut() {
                Some(last) if last.end() == run.start => last.length += run.length,
                _ => merged.push(run),
            }
        }
        self.free = merged;
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Run {
    fn end(self) -> u32 {
        self.start + self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_do_not_overlap_and_come_back_after_their_rest() {
        let (mut lines, start) = (Lines::new(), Instant::now());
        let first = lines.take(10, start).unwrap();
        let second = lines.take(20, start).unwrap();
        assert_eq!((first.start, second.start), (1, 11));
        lines.give_back(first, start);
        assert_eq!(lines.take(5, start + REST / 2).unwrap().start, 31, "it rests");
        assert_eq!(lines.take(5, start + REST).unwrap().start, 1);
        lines.give_back(second, start + REST);
        assert_eq!(lines.take(25, start + REST * 2).unwrap().start, 6, "neighbours become one run");
    }

    #[test]
    fn there_is_an_end() {
        let (mut lines, now) = (Lines::new(), Instant::now());
        assert!(lines.take(PLAN_LINES, now).is_none());
        assert!(lines.take(PLAN_LINES - 1, now).is_some());
        assert!(lines.take(1, now).is_none());
    }

    #[test]
    fn what_is_reserved_is_not_given_out() {
        let (mut lines, now) = (Lines::new(), Instant::now());
        lines.reserve(Run { start: 1, length: 3 });
        lines.reserve(Run { start: 10, length: 5 });
        assert_eq!(lines.take(6, now).unwrap(), Run { start: 4, length: 6 });
        assert_eq!(lines.take(1, now).unwrap().start, 15);
        lines.reserve(Run { start: 0, length: PLAN_LINES });
        assert_eq!(lines.free(), 0);
    }
}
