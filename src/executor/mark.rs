//! What requests themselves have found out about a server: it fails, so it is left alone for a while (the plug-in's
//! "marked down"). Beside the advisors' verdict, never in its place.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::clock::millis;

/// The mark of one server, shared by all workers. It outlives tables.
///
/// One word holds when the server may be tried again and whether somebody is trying it just now: of all who find the time
/// come, exactly one changes the word and sends its request there.
#[derive(Debug, Default)]
pub struct Mark {
    /// 0: none. Else twice the time of the next trial in milliseconds, plus one while a trial runs; the next one may then
    /// begin when this one is given up.
    state: AtomicU64,
    /// Failures in a row.
    failures: AtomicU32,
}

/// A mark at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marked {
    /// Not marked.
    No,
    /// Left alone for so much longer.
    For(Duration),
    /// One request may try it.
    Due,
    /// One request is trying it.
    OnTrial,
}

impl Mark {
    pub fn read(&self, now: Instant) -> Marked {
        let state = self.state.load(Ordering::Relaxed);
        if state == 0 {
            return Marked::No;
        }
        match (state >> 1).saturating_sub(millis(now)) {
            0 => Marked::Due,
            _ if state & TRIAL != 0 => Marked::OnTrial,
            left => Marked::For(Duration::from_millis(left)),
        }
    }

    /// Whether a request may go there; the caller has to [`claim`](Self::claim) what is due.
    #[inline]
    pub fn allows(&self, now: Instant) -> bool {
        self.state.load(Ordering::Relaxed) == 0 || self.read(now) == Marked::Due
    }

    /// Takes the trial of a server that is due. `Some(true)`: it is the caller's, who must let it end by
    /// [`succeed`](Self::succeed), [`mark`](Self::mark) or [`give_back`](Self::give_back). `Some(false)`: there is no mark.
    /// `None`: somebody else has it.
    #[inline]
    pub fn claim(&self, now: Instant) -> Option<bool> {
        let state = self.state.load(Ordering::Relaxed);
        if state == 0 {
            return Some(false);
        }
        if self.read(now) != Marked::Due {
            return None;
        }
        let given_up = millis(now).saturating_add(LONGEST_TRIAL);
        let taken = self.state.compare_exchange(state, given_up << 1 | TRIAL, Ordering::Relaxed, Ordering::Relaxed);
        taken.ok().map(|_| true)
    }

    /// A trial that came to no result: the next one may try at once.
    pub fn give_back(&self) {
        let end = |state: u64| (state & TRIAL != 0).then_some(LONG_AGO << 1);
        // Nothing to give back: somebody else's request has brought the answer meanwhile.
        let _ended = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end);
    }

    /// The server has answered. Whether it was marked.
    #[inline]
    pub fn succeed(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.state.load(Ordering::Relaxed) != 0 && self.state.swap(0, Ordering::Relaxed) != 0
    }

    /// The server has failed: how often in a row.
    pub fn fail(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Leaves the server alone from now on for so long, counted from this failure. Whether it was not marked before.
    pub fn mark(&self, now: Instant, interval: Duration) -> bool {
        let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX >> 2);
        let due = millis(now).saturating_add(interval).min(u64::MAX >> 2);
        self.state.swap(due << 1, Ordering::Relaxed) == 0
    }

    /// Whether it is left alone, or on trial.
    pub fn is_marked(&self) -> bool {
        self.state.load(Ordering::Relaxed) != 0
    }

    /// Failures in a row, for reports.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

const TRIAL: u64 = 1;

/// Milliseconds until a trial that comes to no end (a client that sends its body a byte at a time) no longer keeps others
/// from trying: longer than servers in order take for an answer.
const LONGEST_TRIAL: u64 = 300_000;

/// A time at which any trial is due; not 0, which means no mark.
const LONG_AGO: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    #[test]
    fn one_trial_after_the_interval() {
        let (mark, start) = (Mark::default(), Instant::now());
        assert_eq!(mark.claim(start), Some(false));
        assert!(mark.mark(start, INTERVAL));
        assert!(!mark.allows(start) && mark.claim(start).is_none());
        let due = start + INTERVAL;
        assert_eq!(mark.read(due - Duration::from_millis(1)), Marked::For(Duration::from_millis(1)));
        assert!(mark.allows(due));
        assert_eq!((mark.claim(due), mark.claim(due), mark.allows(due)), (Some(true), None, false));
        assert!(!mark.mark(due, INTERVAL), "the trial has failed, the interval begins again");
        assert!(!mark.allows(due) && mark.allows(due + INTERVAL));
        assert_eq!(mark.claim(due + INTERVAL), Some(true));
        mark.give_back();
        assert_eq!(mark.claim(due + INTERVAL), Some(true), "the client had gone, so the next one tries");
        let hung = due + INTERVAL + Duration::from_millis(LONGEST_TRIAL);
        assert_eq!(mark.read(hung - Duration::from_millis(1)), Marked::OnTrial);
        assert_eq!((mark.claim(hung), mark.claim(hung)), (Some(true), None), "a trial without an end keeps nobody out");
        assert!(mark.succeed() && !mark.succeed());
        assert_eq!(mark.read(due), Marked::No);
    }

    #[test]
    fn failures_count_in_a_row() {
        let mark = Mark::default();
        assert_eq!((mark.fail(), mark.fail()), (1, 2));
        mark.succeed();
        assert_eq!(mark.fail(), 1);
    }

    #[test]
    fn of_many_who_come_at_once_one_tries() {
        let (mark, start) = (Mark::default(), Instant::now());
        mark.mark(start, INTERVAL);
        let due = start + INTERVAL;
        let claims: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| usize::from(mark.claim(due) == Some(true)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(claims, 1);
    }
}
