//! Deadlines of client connections, coarse and cheap.
//!
//! A connection waits for one thing at a time, so it has one deadline, and that moves several times per request. Moving it
//! later touches only the connection: its entry here stays where it is, and is put in its new place when its old one
//! comes up. Only a deadline before the connection's entry needs a new entry; the old one is then recognised as stale.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A moment in units of 64 ms since the worker began. Deadlines are late by at most one unit, never early.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Tick(u64);

impl Tick {
    pub const NEVER: Self = Self(u64::MAX);
}

const TICK_BITS: u32 = 6;

/// A connection's place in the registry; `serial` tells it from others that had the place before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    pub place: u32,
    pub serial: u32,
}

#[derive(Debug)]
pub(super) struct Timers {
    began: Instant,
    buckets: RefCell<BTreeMap<Tick, Vec<Ticket>>>,
    /// What the ticking task waits for now.
    next: Cell<Tick>,
    sooner: Notify,
}

impl Timers {
    pub fn new(began: Instant) -> Self {
        Self { began, buckets: RefCell::default(), next: Cell::new(Tick::NEVER), sooner: Notify::new() }
    }

    /// The first tick at which `patience` has certainly passed since `from`.
    pub fn after(&self, from: Instant, patience: Duration) -> Tick {
        let since = from.saturating_duration_since(self.began).saturating_add(patience);
        let millis = since.as_secs().saturating_mul(1000).saturating_add(u64::from(since.subsec_millis()));
        Tick((millis >> TICK_BITS).saturating_add(1))
    }

    /// The last tick that has come by `now`.
    pub fn at(&self, now: Instant) -> Tick {
        let millis = now.saturating_duration_since(self.began).as_millis() as u64;
        Tick(millis >> TICK_BITS)
    }

    pub fn insert(&self, tick: Tick, ticket: Ticket) {
        self.buckets.borrow_mut().entry(tick).or_default().push(ticket);
        self.wake_by(tick);
    }

    /// Has the ticking task look at `tick` at the latest.
    pub fn wake_by(&self, tick: Tick) {
        if tick < self.next.get() {
            self.next.set(tick);
            self.sooner.notify_one();
        }
    }

    /// The earliest bucket, taken out if its time has come.
    pub fn take_due(&self, now: Tick) -> Option<(Tick, Vec<Ticket>)> {
        let mut buckets = self.buckets.borrow_mut();
        let first = *buckets.first_key_value()?.0;
        if first > now {
            return None;
        }
        buckets.pop_first()
    }

    /// Sleeps until the earliest bucket, or `also` if that is earlier; wakes when something earlier comes.
    pub async fn sleep(&self, also: Tick) {
        let first = self.buckets.borrow().first_key_value().map_or(Tick::NEVER, |(tick, _)| *tick);
        let next = first.min(also);
        self.next.set(next);
        match self.instant(next) {
            None => self.sooner.notified().await,
            Some(until) => tokio::select! {
                () = self.sooner.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            },
        }
    }

    fn instant(&self, tick: Tick) -> Option<Instant> {
        if tick == Tick::NEVER {
            return None;
        }
        self.began.checked_add(Duration::from_millis(tick.0.checked_mul(1 << TICK_BITS)?))
    }

    #[cfg(test)]
    fn entries(&self) -> usize {
        self.buckets.borrow().values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_late_by_one_tick_at_most() {
        let began = Instant::now();
        let timers = Timers::new(began);
        for millis in [0, 1, 63, 64, 65, 1_000, 59_999, 60_000] {
            for later in [0, 1, 63, 64, 100] {
                let from = began + Duration::from_millis(later);
                let due = timers.after(from, Duration::from_millis(millis));
                let reached = timers.instant(due).unwrap().duration_since(from);
                assert!(reached >= Duration::from_millis(millis), "{millis} after {later}");
                assert!(reached <= Duration::from_millis(millis + 64), "{millis} after {later}");
                assert_eq!(timers.at(timers.instant(due).unwrap()), due);
            }
        }
        let never = timers.after(began, Duration::MAX);
        assert!(timers.instant(never).is_none_or(|at| at > began + Duration::from_secs(1 << 40)));
    }

    #[test]
    fn buckets_come_in_order_and_only_when_due() {
        let timers = Timers::new(Instant::now());
        let ticket = |place| Ticket { place, serial: 0 };
        timers.insert(Tick(5), ticket(1));
        timers.insert(Tick(3), ticket(2));
        timers.insert(Tick(5), ticket(3));
        assert_eq!(timers.next.get(), Tick(3));
        assert!(timers.take_due(Tick(2)).is_none());
        assert_eq!(timers.take_due(Tick(9)), Some((Tick(3), vec![ticket(2)])));
        assert_eq!(timers.take_due(Tick(9)), Some((Tick(5), vec![ticket(1), ticket(3)])));
        assert!(timers.take_due(Tick(9)).is_none());
        assert_eq!(timers.entries(), 0);
    }
}
