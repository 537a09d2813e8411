//! Who is to be probed when, and which probes are on their way.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::order::ProbeId;

/// A target for as long as it is configured; never given to another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct TargetId(pub(super) u64);

/// Targets by the time of their next probe. Those that are known to be down wait in a line of their own, since they
/// take the longest and must not hold up the others.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lively: BTreeSet<(Instant, TargetId)>,
    down: BTreeSet<(Instant, TargetId)>,
}

/// In which line a target waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Line {
    Lively,
    Down,
}

impl Queue {
    pub(super) fn insert(&mut self, line: Line, due: Instant, target: TargetId) {
        self.line_mut(line).insert((due, target));
    }

    pub(super) fn remove(&mut self, due: Instant, target: TargetId) {
        self.lively.remove(&(due, target));
        self.down.remove(&(due, target));
    }

    /// Takes the target out of `line` whose time has come first, if any has.
    pub(super) fn pop_due(&mut self, line: Line, now: Instant) -> Option<(Instant, TargetId)> {
        let first = self.line_mut(line).first().copied().filter(|(due, _)| *due <= now)?;
        self.line_mut(line).remove(&first);
        Some(first)
    }

    pub(super) fn next(&self, line: Line) -> Option<Instant> {
        let line = match line {
            Line::Lively => &self.lively,
            Line::Down => &self.down,
        };
        line.first().map(|(due, _)| *due)
    }

    fn line_mut(&mut self, line: Line) -> &mut BTreeSet<(Instant, TargetId)> {
        match line {
            Line::Lively => &mut self.lively,
            Line::Down => &mut self.down,
        }
    }
}

/// Probes on their way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_id: HashMap<ProbeId, Flight>,
    by_end: BTreeSet<(Instant, ProbeId)>,
    down: usize,
}

/// One probe on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// `None`: the target went away meanwhile; the probe still holds its place.
    pub(super) target: Option<TargetId>,
    pub(super) line: Line,
    pub(super) begun: Instant,
    /// When it is given up.
    pub(super) end: Instant,
}

impl Flights {
    pub(super) fn begin(&mut self, id: ProbeId, flight: Flight) {
        self.down += usize::from(flight.line == Line::Down);
        self.by_end.insert((flight.end, id));
        self.by_id.insert(id, flight);
    }

    pub(super) fn finish(&mut self, id: ProbeId) -> Option<Flight> {
        let flight = self.by_id.remove(&id)?;
        self.by_end.remove(&(flight.end, id));
        self.down -= usize::from(flight.line == Line::Down);
        Some(flight)
    }

    pub(super) fn begun(&self, id: ProbeId) -> Option<Instant> {
        self.by_id.get(&id).map(|flight| flight.begun)
    }

    /// The target is no longer interested; the probe goes on.
    pub(super) fn orphan(&mut self, id: ProbeId) {
        if let Some(flight) = self.by_id.get_mut(&id) {
            flight.target = None;
        }
    }

    /// A probe that should have reported back long ago.
    pub(super) fn overdue(&self, now: Instant) -> Option<ProbeId> {
        self.by_end.first().filter(|(end, _)| *end <= now).map(|(_, id)| *id)
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.by_end.first().map(|(end, _)| *end)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn down(&self) -> usize {
        self.down
    }
}
