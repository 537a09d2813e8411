//! What one exchange adds to the counters, and what it finds out about its server.

use std::cell::Cell;
use std::time::Instant;

use crate::executor::{
    ActiveConnection, Event, GroupIndex, Lane, Phase, PortCounters, ServerEntry, ServerIndex, Situation, Verdict,
    verdict,
};
use crate::model::{Balance, Policy};

use super::local::PortRef;

/// One exchange with one server, from the offer to the last byte. Dropping it, for whatever reason, ends it.
pub(super) struct Tally {
    pub port: PortRef,
    pub group: GroupIndex,
    index: ServerIndex,
    lane: Lane,
    answered: Cell<bool>,
    /// This is the one request that tries a server which was left alone.
    trial: Cell<bool>,
    active: Cell<Option<ActiveConnection>>,
    /// When it was the server's turn to speak.
    asked: Cell<Option<Instant>>,
}

/// Who was chosen, for which group's request, and whether as a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub server: ServerIndex,
    pub group: GroupIndex,
    pub trial: bool,
}

/// Why an exchange does not begin.
pub(super) enum NotBegun {
    /// The table has no such server.
    NoServer,
    /// Others were faster: the server has as many as it may have.
    Full,
}

impl Tally {
    /// Begins one at this server.
    pub fn begin(port: &PortRef, chosen: Chosen, lane: Lane) -> Result<Self, NotBegun> {
        let server = port.server(chosen.server).ok_or(NotBegun::NoServer)?;
        let Some(active) = ActiveConnection::begin_within(&server.counters, lane, server.max_connections) else {
            if chosen.trial {
                server.counters.mark.give_back();
            }
            return Err(NotBegun::Full);
        };
        Ok(Self {
            port: port.clone(),
            group: chosen.group,
            index: chosen.server,
            lane,
            answered: Cell::new(false),
            trial: Cell::new(chosen.trial),
            active: Cell::new(Some(active)),
            asked: Cell::new(None),
        })
    }

    pub fn server(&self) -> Option<&ServerEntry> {
        self.port.server(self.index)
    }

    pub fn index(&self) -> ServerIndex {
        self.index
    }

    pub fn policy(&self) -> &Policy {
        &self.port.group_or_port(self.group).policy
    }

    /// The server did not take what was offered, or did not finish its answer.
    pub fn failed(&self) {
        self.with(|server, lane| server.counters.count_failed(lane));
    }

    /// What follows from the server's failure; it is left alone from now on where that follows. Whether it was marked just now
    /// stands beside the verdict.
    pub fn judge(&self, event: Event, situation: Situation, now: Instant) -> (Verdict, bool) {
        let policy = self.policy();
        let verdict = verdict(policy, event, situation);
        let Some(server) = self.server() else { return (verdict, false) };
        let mark = &server.counters.mark;
        if verdict.counts {
            self.failed();
        }
        let failures = if verdict.counts { mark.fail() } else { 0 };
        let too_many = policy.max_fails > 0 && failures >= policy.max_fails;
        // A trial that came to nothing good begins the interval again, whatever it was. One that was broken off by others
        // says nothing, and is given back in the end.
        let says_nothing = matches!(event, Event::Client | Event::Cut);
        let on_trial = !says_nothing && self.trial.replace(false);
        let marks = on_trial || ((too_many || verdict.marks) && self.port.may_be_left(self.group, self.index, now));
        let newly = marks && mark.mark(now, policy.retry_interval);
        if newly {
            tracing::warn!(
                port = %self.port.key,
                server = %server.name,
                failures,
                "server marked down by its failures; one request tries it in {} s",
                policy.retry_interval.as_secs_f64()
            );
        }
        (verdict, newly)
    }

    /// The server has answered as servers in order do.
    pub fn succeeded(&self, started: Instant, now: Instant) {
        self.trial.set(false);
        let Some(server) = self.server() else { return };
        if server.counters.mark.succeed() {
            tracing::info!(port = %self.port.key, server = %server.name, "server answers again; its mark is taken off");
        }
        if self.policy().balance == Balance::LeastTime {
            // The client's upload, the line and other servers' silence are not this server's time.
            server.counters.count_response_time(now, micros(self.asked.get().unwrap_or(started), now));
        }
    }

    /// All that it needs for its answer is on its way from now on, as far as anybody knows.
    pub fn ask(&self, now: Instant) {
        self.asked.set(Some(now));
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

impl Drop for Tally {
    fn drop(&mut self) {
        drop(self.active.take());
        let Some(server) = self.server() else { return };
        if self.trial.get() {
            server.counters.mark.give_back();
        }
        if server.max_connections != 0 {
            self.port.groups().iter().for_each(|group| group.queue.notify());
        }
    }
}

fn record(counters: &PortCounters, lane: Lane, phase: Phase, since: Instant, now: Instant) {
    counters.record(lane, phase, micros(since, now));
}

fn micros(since: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX)
}
