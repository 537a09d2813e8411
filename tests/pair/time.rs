//! True time, what a node's clock shows of it, and what happens when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Nanoseconds since the world began.
pub type Time = u64;

pub const MS: Time = 1_000_000;
pub const SECOND: Time = 1000 * MS;
pub const MINUTE: Time = 60 * SECOND;

pub fn nanos(duration: Duration) -> Time {
    duration.as_nanos() as Time
}

/// A clock that is a little fast or slow, and may stand still while its machine does.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Instant,
    /// Parts per million, from -200 to 200.
    drift: i64,
    /// How long it stood still so far, in true time.
    stood: Time,
}

impl Clock {
    pub fn new(base: Instant, drift: i64) -> Self {
        Self { base, drift, stood: 0 }
    }

    pub fn read(&self, now: Time) -> Instant {
        self.base + Duration::from_nanos(self.shown(now - self.stood))
    }

    /// The first moment at which it shows this.
    pub fn when(&self, shown: Instant) -> Time {
        let wanted = nanos(shown.saturating_duration_since(self.base));
        let mut at = (wanted as i64 - self.gained(wanted)).max(0) as Time;
        while self.shown(at) < wanted {
            at += 100;
        }
        at + self.stood
    }

    pub fn stand_still(&mut self, by: Time) {
        self.stood += by;
    }

    fn shown(&self, run: Time) -> Time {
        (run as i64 + self.gained(run)) as Time
    }

    fn gained(&self, run: Time) -> i64 {
        (run / 1000) as i64 * self.drift / 1000
    }
}

/// What will happen, the soonest first; what happens at one time, in the order in which it was put in.
pub struct Queue<E> {
    order: BinaryHeap<Reverse<(Time, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    count: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), count: 0 }
    }

    pub fn push(&mut self, at: Time, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[slot] = Some(event);
        self.count += 1;
        self.order.push(Reverse((at, self.count, slot)));
    }

    pub fn next_at(&self) -> Time {
        self.order.peek().map_or(Time::MAX, |Reverse((at, _, _))| *at)
    }

    pub fn pop(&mut self) -> Option<E> {
        let Reverse((_, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        self.events[slot].take()
    }
}
