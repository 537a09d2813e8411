//! What an entry's second word says.

use std::time::Duration;

/// Units of 2^22 ns (4.19 ms), in which the tables tell the time. It wraps after 208 days; spans end at half of that.
pub fn units(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() >> TIME_SHIFT).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

/// Nanoseconds of the coarse monotonic clock, shifted by this, are units.
pub const TIME_SHIFT: u32 = 22;

/// An entry: last seen 32 | generation 12 | unsynced 1 | state 3 | server 16. All of it 0: there is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Value(pub u64);

/// A connection as seen from its client's side, by its number in the table.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum State {
    New = 1,
    Established = 2,
    Fin = 3,
    Closed = 4,
    Udp = 5,
    Dead = 7,
}

const STATE_SHIFT: u32 = 16;
const STATE: u64 = 7 << STATE_SHIFT;
const UNSYNCED: u64 = 1 << 19;
const GENERATION_SHIFT: u32 = 20;
const GENERATION: u64 = 0xfff << GENERATION_SHIFT;
const LAST_SHIFT: u32 = 32;
const LAST: u64 = !0 << LAST_SHIFT;

impl Value {
    /// A new entry, of which the partner knows nothing yet. Of the generation 12 bits count.
    pub fn new(server: u16, state: State, generation: u32, now: u32) -> Self {
        Self(
            u64::from(now) << LAST_SHIFT
                | u64::from(generation) << GENERATION_SHIFT & GENERATION
                | UNSYNCED
                | u64::from(state as u8) << STATE_SHIFT
                | u64::from(server),
        )
    }

    pub fn server(self) -> u16 {
        self.0 as u16
    }

    /// `None`: no state has this number, or there is no entry.
    pub fn state(self) -> Option<State> {
        match (self.0 & STATE) >> STATE_SHIFT {
            1 => Some(State::New),
            2 => Some(State::Established),
            3 => Some(State::Fin),
            4 => Some(State::Closed),
            5 => Some(State::Udp),
            7 => Some(State::Dead),
            _ => None,
        }
    }

    /// When it was last seen, or when it died, in [`units`].
    pub fn last(self) -> u32 {
        (self.0 >> LAST_SHIFT) as u32
    }

    pub fn generation(self) -> u32 {
        ((self.0 & GENERATION) >> GENERATION_SHIFT) as u32
    }

    /// Whether the partner has to be told of it.
    pub fn is_unsynced(self) -> bool {
        self.0 & UNSYNCED != 0
    }

    /// Whether a flow may be found by it.
    pub fn is_live(self) -> bool {
        self.0 != 0 && self.0 & STATE != STATE
    }

    /// How long ago it was seen. Another CPU's clock may be a step ahead of ours: that is 0.
    pub fn age(self, now: u32) -> u32 {
        let age = now.wrapping_sub(self.last());
        if age > u32::MAX / 2 { 0 } else { age }
    }

    /// The same entry, seen in this state at this moment; a change of state is news for the partner.
    pub fn seen(self, state: State, now: u32) -> Self {
        let news = if self.state() == Some(state) { 0 } else { UNSYNCED };
        let kept = self.0 & !(LAST | STATE);
        Self(u64::from(now) << LAST_SHIFT | kept | u64::from(state as u8) << STATE_SHIFT | news)
    }

    /// The same entry, which the partner knows.
    pub fn synced(self) -> Self {
        Self(self.0 & !UNSYNCED)
    }

    /// Another connection of the same flow in the place of this one.
    pub fn succeeded_by(self, server: u16, state: State, now: u32) -> Self {
        Self::new(server, state, self.generation().wrapping_add(1), now)
    }

    /// The same entry, ended at this moment; nobody is told of that.
    pub fn ended(self, now: u32) -> Self {
        Self(u64::from(now) << LAST_SHIFT | self.0 & !(LAST | UNSYNCED) | STATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [State; 6] = [State::New, State::Established, State::Fin, State::Closed, State::Udp, State::Dead];

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(server in any::<u16>(), state in prop::sample::select(&STATES[..]), generation in any::<u32>(), now in any::<u32>()) {
            let value = Value::new(server, state, generation, now);
            prop_assert_eq!((value.server(), value.state(), value.last()), (server, Some(state), now));
            prop_assert_eq!((value.generation(), value.is_unsynced()), (generation & 0xfff, true));
            prop_assert_eq!(value.is_live(), state != State::Dead);
            let synced = value.synced();
            prop_assert!(!synced.is_unsynced() && !synced.seen(state, now).is_unsynced());
            let next = synced.succeeded_by(server, State::New, now);
            prop_assert!(next.generation() == (generation.wrapping_add(1) & 0xfff) && next.is_unsynced());
            let ended = value.ended(now.wrapping_add(1));
            prop_assert_eq!((ended.server(), ended.generation(), ended.last()), (server, generation & 0xfff, now.wrapping_add(1)));
            prop_assert!(!ended.is_live() && ended.0 != 0);
        }
    }

    #[test]
    fn a_change_of_state_is_news() {
        let value = Value::new(3, State::New, 5, 100).synced();
        let seen = value.seen(State::Established, 101);
        assert_eq!(
            (seen.server(), seen.state(), seen.generation(), seen.last()),
            (3, Some(State::Established), 5, 101)
        );
        assert!(seen.is_unsynced());
    }

    #[test]
    fn ages_wrap_and_are_never_negative() {
        let value = Value::new(3, State::New, 5, u32::MAX - 1);
        assert_eq!([u32::MAX - 1, 3, u32::MAX - 9].map(|now| value.age(now)), [0, 5, 0]);
    }

    #[test]
    fn nothing_is_neither_live_nor_in_a_state() {
        assert_eq!((Value(0).is_live(), Value(0).state()), (false, None));
    }
}
