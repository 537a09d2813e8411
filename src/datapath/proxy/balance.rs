//! Whether a worker keeps the connection that it accepted, and who takes it otherwise.
//!
//! The kernel spreads new connections over the workers' listeners by a hash of their addresses. Of 64 clients 40 may come
//! to one of two workers, and where clients keep their connections, requests stay spread like that: one worker has twice
//! the other's work, its clients wait longer, and half of a CPU is idle. So a worker that has noticeably more than its
//! share gives what it accepts to the one that has the least.
//!
//! To give a connection away costs some microseconds: the other thread has to be woken, and the socket moves from one
//! event loop to the other. That is nothing for a connection that stays for minutes and too much for each of ten thousand
//! short ones a second, whose counts wobble about each other without any need of help. Nobody can tell the one from the
//! other when it comes, so the [`Allowance`] bounds what is spent on it in time.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The worker that shall take the connection that `this` one accepted, by the connections that are open at each worker
/// that takes any. `None`: `this` one keeps it.
///
/// Of workers to which connections come in any order none gets more than its share and the slack; where connections end
/// is up to clients, and nothing that runs is moved.
pub(super) fn taker(this: usize, open: impl Iterator<Item = (usize, u64)>) -> Option<usize> {
    let (mut mine, mut total, mut workers) = (0, 0_u64, 0);
    let mut least: Option<(usize, u64)> = None;
    for (worker, open) in open {
        total = total.saturating_add(open);
        workers += 1;
        if worker == this {
            mine = open;
        }
        if least.is_none_or(|(_, fewest)| open < fewest) {
            least = Some((worker, open));
        }
    }
    // Who has more than the average is not the one with the least.
    least.filter(|_| is_over(mine, total, workers)).map(|(worker, _)| worker)
}

/// Whether a worker with `mine` of `total` connections has noticeably more than its share.
pub(super) fn is_over(mine: u64, total: u64, workers: usize) -> bool {
    mine.saturating_mul(workers as u64) > total.saturating_add(total / SLACK)
}

/// A worker is over its share from one part in so many: two workers are then 3 % apart at the most, and one connection
/// if they have few. Requests follow connections only roughly, so closer would not be seen; wider would be.
const SLACK: u64 = 64;

/// How often a worker may give a connection away: [`AT_ONCE`] times, and again each time that [`EACH`] has passed.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When all of it is there again.
    whole: Cell<Instant>,
}

/// A hundred a second. Should each cost both workers 10 µs, which is more than we saw, that is two thousandths of a CPU,
/// whatever the load; and where fewer than some hundred clients a second come, all of them can be placed.
const EACH: Duration = Duration::from_millis(10);

/// Thousands of clients that come at once and stay, as after a restart, need about that many: the kernel's hash alone
/// spreads large numbers better than small ones.
const AT_ONCE: u32 = 256;

impl Allowance {
    pub fn new(now: Instant) -> Self {
        Self { whole: Cell::new(now) }
    }

    /// Whether one is left.
    pub fn is_left(&self, now: Instant) -> bool {
        self.whole_after_next(now).saturating_duration_since(now) <= EACH * AT_ONCE
    }

    /// Uses one up.
    pub fn take(&self, now: Instant) {
        self.whole.set(self.whole_after_next(now));
    }

    fn whole_after_next(&self, now: Instant) -> Instant {
        self.whole.get().max(now) + EACH
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_takes_it() {
        let cases: [(usize, &[u64], Option<usize>, &str); 14] = [
            (0, &[], None, "nobody to ask"),
            (0, &[7], None, "alone"),
            (3, &[7, 7], None, "a lane that is not there"),
            (0, &[0, 0], None, "the first one"),
            (0, &[1, 0], Some(1), "the second one"),
            (1, &[1, 0], None, "it has the least"),
            (0, &[32, 31], Some(1), "one apart, and every connection counts"),
            (0, &[33, 33], None, "even"),
            (0, &[1000, 985], None, "within the slack"),
            (0, &[1000, 960], Some(1), "beyond it"),
            (0, &[5, 3, 1, 4], Some(2), "the one with the least"),
            (1, &[5, 3, 1, 4], None, "not more than the average"),
            (3, &[4, 0, 0, 4], Some(1), "of equals the first"),
            (0, &[u64::MAX, 1, 1], None, "a count beyond all sense does no harm"),
        ];
        for (this, open, expected, what) in cases {
            assert_eq!(taker(this, open.iter().copied().enumerate()), expected, "{what}: {this} of {open:?}");
        }
    }

    /// A connection comes to this worker. Who takes it?
    fn comes(open: &mut [u64], worker: usize) -> usize {
        let takes = taker(worker, open.iter().copied().enumerate()).unwrap_or(worker);
        open[takes] += 1;
        takes
    }

    /// What the kernel and the clients do to `workers`: at each step a connection comes to a worker, or one of its
    /// connections ends.
    fn steps() -> impl Strategy<Value = (usize, Vec<(usize, bool)>)> {
        (2_usize..9).prop_flat_map(|workers| {
            (Just(workers), prop::collection::vec((0..workers, prop::bool::weighted(0.7)), 1..600))
        })
    }

    proptest! {
        #[test]
        fn a_connection_never_comes_to_a_worker_that_has_more_than_its_share((workers, steps) in steps()) {
            let mut open = vec![0_u64; workers];
            for (worker, one_comes) in steps {
                if !one_comes {
                    open[worker] = open[worker].saturating_sub(1);
                    continue;
                }
                let before = open.clone();
                let takes = comes(&mut open, worker);
                prop_assert!(!is_over(before[takes], before.iter().sum(), workers), "{worker} -> {takes} of {before:?}");
            }
        }

        #[test]
        fn clients_that_stay_end_up_evenly(workers in 2_usize..9, came in prop::collection::vec(0_usize..9, 0..2000)) {
            let mut open = vec![0_u64; workers];
            for worker in &came {
                comes(&mut open, worker % workers);
            }
            let (most, share) = (*open.iter().max().unwrap(), came.len().div_ceil(workers) as u64);
            prop_assert!(most <= share + share / 50 + 1, "{open:?}");
        }

        #[test]
        fn whatever_the_clients_did_before_two_workers_are_soon_even_again(
            before in prop::array::uniform2(0_u64..100), came in prop::collection::vec(0_usize..2, 100..400)
        ) {
            let mut open = before;
            for worker in came {
                comes(&mut open, worker);
            }
            let total: u64 = open.iter().sum();
            prop_assert!(open[0].abs_diff(open[1]) <= 1 + total / SLACK + 1, "{before:?} {open:?}");
        }
    }

    #[test]
    fn the_allowance_is_a_burst_and_then_a_rate() {
        let now = Instant::now();
        let allowance = Allowance::new(now);
        let taken = |from: Duration, times: u32| {
            let asked = (0..times).map(|_| now + from);
            asked.filter(|&now| allowance.is_left(now)).inspect(|&now| allowance.take(now)).count()
        };
        assert_eq!(taken(Duration::ZERO, 1000), 256);
        assert_eq!(taken(EACH, 10), 1);
        assert_eq!(taken(EACH * 2, 10), 1);
        assert_eq!(
            (3..1000).map(|step| taken(EACH * step / 4, 1)).sum::<usize>(),
            247,
            "four are asked for per interval"
        );
        assert_eq!(taken(Duration::from_secs(3600), 1000), 256, "no more than a burst is saved up");
        assert!(!allowance.is_left(now), "a clock that stands behind gives nothing away");
    }
}
