//! Expiry, and the count of what is there, over the memory of the connection table.
//!
//! The table's slots are pairs of words {key, value}; `datapath/xdp/program/layout.h` has their meaning, and its
//! `connections.h` the protocol that all who write to them keep. The sweeper is one of them, and follows it with the same
//! steps: LIVE → DEAD by compare-and-swap of the value that was read, so that an entry which a packet refreshes at the same
//! time stays; then the key goes; the slot is free when it has rested, so that a reader who still held it cannot meet
//! another flow there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Units of 2^22 ns, in which the table tells the time.
pub fn units(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() >> 22).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

/// What the words of the table say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Value(pub u64);

/// A connection as seen from its client's side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    New,
    Established,
    Fin,
    Closed,
    Udp,
    Dead,
}

impl Value {
    pub fn server(self) -> u16 {
        self.0 as u16
    }

    pub fn state(self) -> Option<State> {
        match self.0 >> 16 & 7 {
            1 => Some(State::New),
            2 => Some(State::Established),
            3 => Some(State::Fin),
            4 => Some(State::Closed),
            5 => Some(State::Udp),
            7 => Some(State::Dead),
            _ => None,
        }
    }

    /// When it was last seen, in units.
    pub fn last(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The same entry, ended at this moment.
    fn ended(self, now: u32) -> Self {
        Self(u64::from(now) << 32 | 7 << 16 | (self.0 & 0xfff0_ffff))
    }
}

/// How long a service's connections are kept without a packet, in units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    pub stale: u32,
    pub fin: u32,
}

/// Half-open connections are given this long; a client repeats its SYN after 1, 3, 7 and 15 seconds.
pub const HALF_OPEN: Duration = Duration::from_secs(30);
/// After a reset late segments still find their server this long.
pub const CLOSED: Duration = Duration::from_secs(2);
/// A slot rests between two flows.
pub const REST: Duration = Duration::from_millis(100);
/// A slot that was claimed and got no key: whoever claimed it was done with it within microseconds.
pub const ABANDONED: Duration = Duration::from_secs(1);

/// What a sweep is told.
pub struct Sweep<'a> {
    /// The table's clock.
    pub now: u32,
    /// By a key's service, the lowest bit (UDP) left out.
    pub patience: &'a dyn Fn(u16) -> Patience,
    /// Whether this server's connections have ended and nobody is to be told.
    pub purged: &'a dyn Fn(u16) -> bool,
}

/// What one pass over the table found, server by server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Census {
    servers: Vec<Figures>,
    /// Entries of all states.
    pub entries: u64,
    /// Half-open ones.
    pub half_open: u64,
}

/// One server's entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Neither finished nor closed.
    pub active: u64,
    /// Finished or closed, and still known.
    pub finished: u64,
    /// Active ones that this pass ended because nothing was heard of them.
    pub expired: u64,
    /// Active ones that this pass ended because their server is gone.
    pub purged: u64,
}

impl Census {
    pub fn of(&self, server: u16) -> Figures {
        self.servers.get(usize::from(server)).copied().unwrap_or_default()
    }

    fn at(&mut self, server: u16) -> &mut Figures {
        let place = usize::from(server);
        if self.servers.len() <= place {
            self.servers.resize(place + 1, Figures::default());
        }
        // The place was made above.
        #[expect(clippy::indexing_slicing, reason = "see the line above")]
        &mut self.servers[place]
    }
}

impl Sweep<'_> {
    /// Looks at a run of slots, two words each.
    pub fn run(&self, slots: &[AtomicU64], census: &mut Census) {
        for slot in slots.as_chunks::<2>().0 {
            let [key, value] = slot;
            let seen = Value(value.load(Ordering::Acquire));
            if seen.0 != 0 {
                self.look(key, value, seen, census);
            }
        }
    }

    fn look(&self, key: &AtomicU64, value: &AtomicU64, seen: Value, census: &mut Census) {
        let flow = key.load(Ordering::Acquire);
        let age = self.now.wrapping_sub(seen.last());
        // A packet on another CPU may have a later moment than ours.
        let age = if age > u32::MAX / 2 { 0 } else { age };
        let Some(state) = seen.state().filter(|state| *state != State::Dead && flow != 0) else {
            return free(key, value, seen, age);
        };
        let active = !matches!(state, State::Fin | State::Closed);
        let expired = age >= self.limit(flow, state);
        let purged = (self.purged)(seen.server());
        if expired || purged {
            if self.end(key, value, seen) && active {
                let figures = census.at(seen.server());
                *if purged { &mut figures.purged } else { &mut figures.expired } += 1;
            }
            return;
        }
        census.entries += 1;
        census.half_open += u64::from(state == State::New);
        let figures = census.at(seen.server());
        *if active { &mut figures.active } else { &mut figures.finished } += 1;
    }

    fn limit(&self, flow: u64, state: State) -> u32 {
        match state {
            State::New => units(HALF_OPEN),
            State::Closed => units(CLOSED),
            State::Fin => (self.patience)(flow as u16 & !1).fin,
            State::Established | State::Udp | State::Dead => (self.patience)(flow as u16 & !1).stale,
        }
    }

    /// `false`: a packet was quicker, and the entry lives on.
    fn end(&self, key: &AtomicU64, value: &AtomicU64, seen: Value) -> bool {
        let ended = value.compare_exchange(seen.0, seen.ended(self.now).0, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if ended {
            key.store(0, Ordering::Release);
        }
        ended
    }
}

/// Gives a slot back that nobody can be looking at any more.
fn free(key: &AtomicU64, value: &AtomicU64, seen: Value, age: u32) {
    let dead = seen.state() == Some(State::Dead);
    let rest = if dead { units(REST) + 1 } else { units(ABANDONED) };
    if age < rest {
        return;
    }
    // Who ended it stores the key after the value, and may have been held up in between.
    key.store(0, Ordering::Release);
    let _ = value.compare_exchange(seen.0, 0, Ordering::SeqCst, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { stale: 1000, fin: 500 };

    fn entry(state: u64, server: u64, last: u64) -> u64 {
        last << 32 | state << 16 | server
    }

    fn swept(slots: &[AtomicU64], now: u32, purged: Option<u16>) -> Census {
        let mut census = Census::default();
        let sweep = Sweep { now, patience: &|_| PATIENCE, purged: &|server| Some(server) == purged };
        sweep.run(slots, &mut census);
        census
    }

    fn slots(entries: &[(u64, u64)]) -> Vec<AtomicU64> {
        entries.iter().flat_map(|&(key, value)| [AtomicU64::new(key), AtomicU64::new(value)]).collect()
    }

    #[test]
    fn each_state_has_its_time() {
        let cases = [(1, units(HALF_OPEN)), (2, 1000), (3, 500), (4, units(CLOSED)), (5, 1000)];
        for (state, limit) in cases {
            let slots = slots(&[(8, entry(state, 3, 100))]);
            assert_eq!(swept(&slots, 100 + limit - 1, None).entries, 1, "{state}");
            let census = swept(&slots, 100 + limit, None);
            let active = u64::from(!matches!(state, 3 | 4));
            assert_eq!((census.entries, census.of(3).expired), (0, active), "{state}");
            assert_eq!(slots[0].load(Ordering::Relaxed), 0, "the key goes at once");
            assert_ne!(slots[1].load(Ordering::Relaxed), 0, "the slot rests");
            swept(&slots, 100 + limit + units(REST) + 1, None);
            assert_eq!(slots[1].load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn entries_are_counted_and_those_of_purged_servers_end() {
        let slots = slots(&[(8, entry(2, 1, 90)), (9, entry(3, 1, 90)), (10, entry(1, 2, 90)), (0, 0)]);
        let census = swept(&slots, 100, None);
        assert_eq!((census.entries, census.half_open), (3, 1));
        assert_eq!(census.of(1), Figures { active: 1, finished: 1, ..Figures::default() });
        let census = swept(&slots, 100, Some(1));
        assert_eq!((census.entries, census.of(1).purged, census.of(2).active), (1, 1, 1));
    }

    #[test]
    fn time_wraps_and_other_clocks_may_be_ahead() {
        let slots = slots(&[(8, entry(2, 1, u64::from(u32::MAX) - 10)), (9, entry(2, 1, 120))]);
        assert_eq!(swept(&slots, 100, None).entries, 2);
        assert_eq!(swept(&slots, 989, None).entries, 1);
    }

    #[test]
    fn a_claim_that_was_given_up_is_taken_back() {
        let slots = slots(&[(0, entry(1, 1, 100))]);
        swept(&slots, 100 + units(ABANDONED) - 1, None);
        assert_ne!(slots[1].load(Ordering::Relaxed), 0);
        swept(&slots, 100 + units(ABANDONED), None);
        assert_eq!(slots[1].load(Ordering::Relaxed), 0);
    }
}
