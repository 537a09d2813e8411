//! How close the process is to the memory that it may have, and what follows.
//!
//! Numbers go in and a level comes out; whoever reads `/proc` and whoever acts are elsewhere. What can be had back is given
//! up in the order in which it hurts: clients that are not here yet, clients that say nothing, requests.

/// What the process does about its memory. Each level does what those before it do.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Pressure {
    /// Nothing.
    #[default]
    Calm,
    /// Takes no new clients: they wait in the kernel's queue.
    Closed,
    /// Closes clients that are silent, the longest silent first.
    Shedding,
    /// Answers requests with 503 and closes.
    Refusing,
}

impl Pressure {
    pub const ALL: [Self; 4] = [Self::Calm, Self::Closed, Self::Shedding, Self::Refusing];

    /// Percent of the ceiling at which a level begins.
    const BEGINS: [u64; 4] = [0, 85, 92, 97];

    /// Percent below which it ends. The distance is more than what the allocator gives back at one time, so that a level
    /// does not end by its own effect and begin again.
    const ENDS: [u64; 4] = [0, 80, 88, 94];

    /// The level after this one, with so many bytes in use out of so many; `ceiling` 0: there is no bound.
    pub fn next(self, resident: u64, ceiling: u64) -> Self {
        if ceiling == 0 {
            return Self::Calm;
        }
        let percent = u128::from(resident) * 100 / u128::from(ceiling);
        let at_least =
            |marks: [u64; 4], level: &Self| marks.get(*level as usize).is_some_and(|&mark| percent >= u128::from(mark));
        let highest = |marks| Self::ALL.into_iter().rev().find(|level| at_least(marks, level)).unwrap_or_default();
        // Up at once; down only as far as the lower marks say.
        highest(Self::BEGINS).max(self.min(highest(Self::ENDS)))
    }

    pub fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// What it means for clients; empty: nothing.
    pub fn words(self) -> &'static str {
        match self {
            Self::Calm => "",
            Self::Closed => "no new clients are taken",
            Self::Shedding => "no new clients are taken, silent ones are closed",
            Self::Refusing => "no new clients are taken, silent ones are closed, requests are answered with 503",
        }
    }
}

/// The bytes that the process may have: what the operator says (MiB), else three quarters of what is free at the start or of
/// the control group's limit, whichever is less. A quarter is left for the kernel's socket buffers, which are not counted
/// here and belong to the same clients. 0: no bound, also where nothing is known.
pub fn ceiling(asked: Option<u32>, available: Option<u64>, group: Option<u64>) -> u64 {
    const MIB: u64 = 1 << 20;
    /// A machine that has less to spare when we start is used by others just then: to be closed for ever would not help.
    const LEAST: u64 = 256 * MIB;
    let share = |bytes: u64| bytes / 4 * 3;
    // A group's limit is hard: the kernel would end the process there.
    let free = available.map(|available| share(available).max(LEAST));
    match asked {
        Some(mib) => u64::from(mib) * MIB,
        None => free.into_iter().chain(group.map(share)).min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::Pressure::{Calm, Closed, Refusing, Shedding};
    use super::*;

    #[test]
    fn levels_begin_at_their_marks() {
        let cases = [(0, Calm), (84, Calm), (85, Closed), (91, Closed), (92, Shedding), (96, Shedding), (97, Refusing)];
        for (percent, level) in cases {
            assert_eq!(Calm.next(percent, 100), level, "{percent}");
        }
        assert_eq!(Calm.next(u64::MAX, 1), Refusing);
        assert_eq!(Refusing.next(u64::MAX, 0), Calm, "no bound");
    }

    #[test]
    fn levels_end_later_than_they_begin() {
        let story = [
            (86, Closed),
            (84, Closed),
            (80, Closed),
            (79, Calm),
            (84, Calm),
            (98, Refusing),
            (95, Refusing),
            (93, Shedding),
            (89, Shedding),
            (87, Closed),
            (93, Shedding),
            (10, Calm),
        ];
        let mut level = Calm;
        for (percent, then) in story {
            level = level.next(percent, 100);
            assert_eq!(level, then, "at {percent}");
        }
    }

    #[test]
    fn a_value_at_a_mark_never_flaps() {
        for mark in [80, 85, 88, 92, 94, 97] {
            for level in Pressure::ALL {
                let settled = level.next(mark, 100);
                assert_eq!(settled.next(mark, 100), settled, "{mark}");
            }
        }
    }

    #[test]
    fn the_ceiling_is_the_operators_or_a_share_of_what_there_is() {
        const GIB: u64 = 1 << 30;
        assert_eq!(ceiling(Some(512), Some(8 * GIB), None), GIB / 2);
        assert_eq!(ceiling(Some(0), Some(8 * GIB), Some(GIB)), 0, "none is asked for");
        assert_eq!(ceiling(None, Some(8 * GIB), None), 6 * GIB);
        assert_eq!(ceiling(None, Some(8 * GIB), Some(4 * GIB)), 3 * GIB);
        assert_eq!(ceiling(None, Some(GIB / 8), None), GIB / 4, "others use it just now");
        assert_eq!(ceiling(None, None, None), 0);
    }
}
