//! How scripts ended.

use std::sync::atomic::{AtomicU64, Ordering};

use super::AlertEvent;

/// What became of one script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    Done,
    /// It ended with another code than 0, or did not start.
    Failed,
    Timeout,
    /// It may not be run.
    Refused,
    /// Too many waited.
    Dropped,
}

impl Ending {
    const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Timeout, Self::Refused, Self::Dropped];

    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// A count for each event and ending.
#[derive(Debug, Default)]
pub struct Tally([[AtomicU64; Ending::ALL.len()]; AlertEvent::ALL.len()]);

impl Tally {
    pub fn count(&self, event: AlertEvent, ending: Ending) {
        let known = self.cells().find(|(at, _)| *at == (event, ending));
        if let Some((_, count)) = known {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Script, ending and how often.
    pub fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let told = |((event, ending), count): ((AlertEvent, Ending), &AtomicU64)| {
            (event.script(), ending.word(), count.load(Ordering::Relaxed))
        };
        self.cells().map(told).collect()
    }

    fn cells(&self) -> impl Iterator<Item = ((AlertEvent, Ending), &AtomicU64)> {
        let rows = AlertEvent::ALL.into_iter().zip(&self.0);
        rows.flat_map(|(event, row)| {
            Ending::ALL.into_iter().zip(row).map(move |(ending, count)| ((event, ending), count))
        })
    }
}
