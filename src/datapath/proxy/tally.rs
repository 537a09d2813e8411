//! What one exchange adds to the counters.

use std::cell::Cell;
use std::time::Instant;

use crate::executor::{ActiveConnection, Lane, Phase, PortCounters, ServerEntry, ServerIndex};

use super::local::PortRef;

/// One exchange with one server, from the offer to the last byte. Dropping it, for whatever reason, ends it.
pub(super) struct Tally {
    pub port: PortRef,
    index: ServerIndex,
    lane: Lane,
    answered: Cell<bool>,
    _active: ActiveConnection,
}

impl Tally {
    /// Begins one at this server. `None`: the table has no such server.
    pub fn begin(port: &PortRef, index: ServerIndex, lane: Lane) -> Option<Self> {
        let active = ActiveConnection::begin(&port.server(index)?.counters, lane);
        Some(Self { port: port.clone(), index, lane, answered: Cell::new(false), _active: active })
    }

    pub fn server(&self) -> Option<&ServerEntry> {
        self.port.server(self.index)
    }

    /// The server did not take what was offered, or did not finish its answer.
    pub fn failed(&self) {
        self.with(|server, lane| server.counters.count_failed(lane));
    }

    pub fn bytes_in(&self, bytes: usize) {
        self.with(|server, lane| server.counters.count_bytes_in(lane, bytes as u64));
    }

    pub fn bytes_out(&self, bytes: usize) {
        self.with(|server, lane| server.counters.count_bytes_out(lane, bytes as u64));
    }

    /// The server's response has begun.
    pub fn responded(&self, status: u16) {
        self.answered.set(true);
        self.with(|server, lane| server.counters.count_response(lane, status));
    }

    pub fn has_answered(&self) -> bool {
        self.answered.get()
    }

    pub fn record(&self, phase: Phase, since: Instant, now: Instant) {
        record(&self.port.counters, self.lane, phase, since, now);
    }

    fn with(&self, count: impl FnOnce(&ServerEntry, Lane)) {
        if let Some(server) = self.server() {
            count(server, self.lane);
        }
    }
}

fn record(counters: &PortCounters, lane: Lane, phase: Phase, since: Instant, now: Instant) {
    let micros = now.saturating_duration_since(since).as_micros();
    counters.record(lane, phase, u64::try_from(micros).unwrap_or(u64::MAX));
}
