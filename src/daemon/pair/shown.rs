//! What reports and metrics are made of.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::executor::{Histogram, HistogramReading};
use crate::high_availability::Report;
use crate::pairing::Counts;

/// The pair's thread at a moment.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// `None`: it has not begun.
    pub report: Option<Report>,
    /// What came in, and what was refused of it.
    pub datagrams: Counts,
    /// News that the control thread had no room for.
    pub news_lost: u64,
}

/// Where the thread leaves it.
#[derive(Debug, Default)]
pub(super) struct Board {
    shown: Mutex<Shown>,
    lateness: Histogram,
}

impl Board {
    pub fn show(&self, shown: Shown) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    pub fn look(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The thread ran so much later than it wanted.
    pub fn note_late(&self, late: Duration) {
        self.lateness.record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn lateness(&self) -> HistogramReading {
        self.lateness.read()
    }
}
