//! Expiry, and the count of what is there, over the memory of the connection table.
//!
//! The table's slots are pairs of words {key, value}; `datapath/xdp/program/layout.h` has their meaning, and its
//! `connections.h` the protocol that all who write to them keep. The sweeper is one of them, and follows it with the same
//! steps: LIVE → DEAD by compare-and-swap of the value that was read, so that an entry which a packet refreshes at the same
//! time stays; then the key goes; the slot is free when it has rested, so that a reader who still held it cannot meet
//! another flow there.

use std::time::Duration;

pub use super::connections::units;
use super::connections::{Slot, State, Value, Word};

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
    pub fn run<W: Word>(&self, slots: &[W], census: &mut Census) {
        for words in slots.as_chunks::<2>().0 {
            let slot = Slot::from(words);
            let seen = slot.value();
            if seen.0 != 0 {
                self.look(&slot, seen, census);
            }
        }
    }

    fn look<W: Word>(&self, slot: &Slot<'_, W>, seen: Value, census: &mut Census) {
        let flow = slot.key();
        let Some(state) = seen.state().filter(|state| *state != State::Dead && flow != 0) else {
            return slot.free(seen, self.now);
        };
        let active = !matches!(state, State::Fin | State::Closed);
        let expired = seen.age(self.now) >= self.limit(flow, state);
        let purged = (self.purged)(seen.server());
        if expired || purged {
            if slot.end(flow, seen, self.now) && active {
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
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::connections::{ABANDONED, REST};
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
