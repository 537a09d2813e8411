//! When a direction of a relay moves enough in a row to deserve more than the ordinary copy.

/// What one direction did lately. It knows sizes only, no clock: a piece is as large as what came while the one before
/// was on its way, so large pieces in a row are a flow that the worker's CPU is the limit of.
#[derive(Debug, Default)]
pub(super) struct Pace {
    score: u8,
    bulk: bool,
    wide: bool,
}

/// From this size on a piece is large. Below it, a pipe costs as much as it saves.
const LARGE: usize = 64 * 1024;

/// Large pieces for which a flow goes through a pipe: at least 1 MiB in all, as bodies of ordinary size gain nothing.
const ENTER: u8 = 16;

/// What a small piece takes away of the score: half as many small pieces as large ones, and a flow is ordinary again.
const SMALL_COSTS: u8 = 2;

/// Bytes that a flow copies at once, ordinarily and when the piece before was large and went through at once. Behind a
/// sink that takes its time, what is left over waits in memory: such flows keep to the smaller size.
const NARROW: usize = LARGE;
const WIDE: usize = 4 * NARROW;

impl Pace {
    /// The most that any flow copies at once.
    pub const MOST: usize = WIDE;

    /// A piece was read; `whole`: the sink took all of it.
    pub fn copied(&mut self, bytes: usize, whole: bool) {
        self.wide = whole && bytes >= LARGE;
        self.piece(bytes);
    }

    /// A piece went into a pipe.
    pub fn piece(&mut self, bytes: usize) {
        self.score = if bytes >= LARGE {
            self.score.saturating_add(1).min(ENTER)
        } else {
            self.score.saturating_sub(SMALL_COSTS)
        };
        match self.score {
            0 => self.bulk = false,
            ENTER => self.bulk = true,
            _ => {}
        }
    }

    /// No pipe was to be had: to be asked for again after as many large pieces as the first time.
    pub fn denied(&mut self) {
        self.score = 0;
        self.bulk = false;
    }

    pub fn is_bulk(&self) -> bool {
        self.bulk
    }

    pub fn room(&self) -> usize {
        if self.wide { WIDE } else { NARROW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(pieces: impl IntoIterator<Item = usize>) -> Pace {
        let mut pace = Pace::default();
        pieces.into_iter().for_each(|bytes| pace.copied(bytes, true));
        pace
    }

    #[test]
    fn a_pipe_after_a_megabyte_in_a_row_and_no_more_after_small_ones() {
        let enter = usize::from(ENTER);
        assert!(!after(vec![LARGE; enter - 1]).is_bulk());
        let mut pace = after(vec![LARGE; enter]);
        assert!(pace.is_bulk());
        for _ in 1..enter / 2 {
            pace.piece(1);
            assert!(pace.is_bulk(), "a few small pieces happen in any flow");
        }
        pace.piece(LARGE - 1);
        assert!(!pace.is_bulk());
        pace.piece(LARGE);
        assert!(!pace.is_bulk(), "it begins anew");
    }

    #[test]
    fn who_got_no_pipe_asks_again_later() {
        let mut pace = after(vec![WIDE; 100]);
        pace.denied();
        for _ in 1..ENTER {
            pace.piece(WIDE);
            assert!(!pace.is_bulk());
        }
        pace.piece(WIDE);
        assert!(pace.is_bulk());
    }

    #[test]
    fn a_sink_that_takes_its_time_leaves_little_over() {
        let mut pace = Pace::default();
        assert_eq!(pace.room(), NARROW);
        for (bytes, whole, room) in
            [(NARROW, true, WIDE), (WIDE, false, NARROW), (NARROW, true, WIDE), (1, true, NARROW)]
        {
            pace.copied(bytes, whole);
            assert_eq!(pace.room(), room);
        }
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(prop_oneof![1..LARGE, LARGE..=2 * WIDE], 0..200)
    }

    proptest! {
        #[test]
        fn bulk_is_never_less_than_a_megabyte_nor_chatty(sizes in sizes()) {
            let mut pace = Pace::default();
            let mut since_ordinary = 0;
            for bytes in sizes {
                since_ordinary = if pace.is_bulk() { 0 } else { since_ordinary + bytes };
                let before = pace.is_bulk();
                pace.piece(bytes);
                if pace.is_bulk() && !before {
                    prop_assert!(bytes >= LARGE, "a small piece never begins it");
                    prop_assert!(since_ordinary >= 1 << 20);
                }
                prop_assert!(bytes < LARGE || pace.is_bulk() >= before, "a large piece never ends it");
            }
        }

        #[test]
        fn whatever_came_before_enough_of_one_kind_decides(before in sizes(), large: bool) {
            let mut pace = after(before);
            (0..ENTER).for_each(|_| pace.piece(if large { LARGE } else { LARGE - 1 }));
            prop_assert_eq!(pace.is_bulk(), large);
        }
    }
}
