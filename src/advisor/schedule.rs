//! The schedule of all probes and what is known from them.

mod membership;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::dialogue;
use super::jitter::Jitter;
use super::order::{ProbeId, ProbeOrder, ProbeOutcome};
use super::patience::patience;
use super::queue::{Flight, Flights, Line, Queue, TargetId};
use super::record::Record;
use super::target::Target;
use crate::model::{AdvisorKey, DownReason, Health, ServerId};

/// Probes on their way at one time. Each costs a descriptor and up to 64 KiB of answer, and a burst of them should
/// neither fill a switch's queue nor the descriptors that clients need. When all places are taken, probes wait their
/// turn, earliest first, and are counted as late.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Of those, probes of servers that are known to be down. They wait out their timeouts, and without this bound a mass
/// failure would take all places and nobody would look at the living.
pub const MAX_IN_FLIGHT_DOWN: usize = MAX_IN_FLIGHT / 2;

/// All advisors: which server is probed when, and what came of it.
///
/// Each target (one server as one advisor sees it) is probed at once, then every interval, counted from the beginning
/// of a probe and shortened by up to a tenth so that probes do not march in step. There are never two probes of one
/// target at a time; where one takes longer than the interval, the next follows at once. A server that dies is called
/// down within (retries + 1) × interval + timeout (see `patience`), as long as there are free places for its probes.
#[derive(Debug)]
pub struct Advisors {
    targets: BTreeMap<TargetId, Seat>,
    by_key: HashMap<(AdvisorKey, ServerId), TargetId>,
    by_server: HashMap<ServerId, Vec<TargetId>>,
    queue: Queue,
    flights: Flights,
    jitter: Jitter,
    next_target: u64,
    next_probe: u64,
    late: u64,
    lost: u64,
}

/// A server whose health is another one now, or down for another reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthChange {
    pub server: ServerId,
    pub before: Health,
    pub after: Health,
}

/// One target, its record and its place in the schedule.
#[derive(Debug)]
struct Seat {
    target: Target,
    record: Record,
    next: Next,
}

/// What a target waits for.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Its time, in the queue.
    Due { at: Instant, begun: Option<Instant> },
    /// The outcome of a probe.
    Flying { id: ProbeId },
    /// An address.
    Unresolved,
}

impl Advisors {
    /// Nothing to probe yet. `seed` makes schedules of different dispatchers differ.
    pub fn new(seed: u64) -> Self {
        Self {
            targets: BTreeMap::new(),
            by_key: HashMap::new(),
            by_server: HashMap::new(),
            queue: Queue::default(),
            flights: Flights::default(),
            jitter: Jitter::new(seed),
            next_target: 0,
            next_probe: 0,
            late: 0,
            lost: 0,
        }
    }

    /// The next probe that is to begin now, if any. To be called until there is none.
    pub fn poll_probe(&mut self, now: Instant) -> Option<ProbeOrder> {
        if self.flights.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let lively = self.queue.pop_due(Line::Lively, now);
        let (due, id, line) = match lively {
            Some((due, id)) => (due, id, Line::Lively),
            None if self.flights.down() < MAX_IN_FLIGHT_DOWN => {
                let (due, id) = self.queue.pop_due(Line::Down, now)?;
                (due, id, Line::Down)
            }
            None => return None,
        };
        self.begin(id, line, due, now)
    }

    /// Takes the outcome of a probe. One of a target that went away meanwhile, or that was given up, is ignored.
    pub fn finished(&mut self, probe: ProbeId, outcome: ProbeOutcome, now: Instant) -> Option<HealthChange> {
        let flight = self.flights.finish(probe)?;
        let id = flight.target?;
        let server = self.targets.get(&id)?.target.server;
        let before = self.health(server);
        let seat = self.targets.get_mut(&id)?;
        seat.record.take(outcome, flight.begun, seat.target.advisor.retries, now);
        let interval = self.jitter.shorten(seat.target.advisor.interval.max(SHORTEST_INTERVAL));
        let due = later(flight.begun, interval).max(now);
        seat.next = Next::Due { at: due, begun: Some(flight.begun) };
        self.queue.insert(seat.line(), due, id);
        let after = self.health(server);
        (before != after).then_some(HealthChange { server, before, after })
    }

    /// Gives up the probes that never reported back, as failures to receive. To be called when
    /// [`next_deadline`](Self::next_deadline) has come.
    pub fn give_up(&mut self, now: Instant) -> Vec<HealthChange> {
        let mut changes = Vec::new();
        while let Some(id) = self.flights.overdue(now) {
            self.lost += 1;
            let latency = self.flights.begun(id).map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
            changes.extend(self.finished(id, ProbeOutcome::Bad { reason: DownReason::ReceiveTimeout, latency }, now));
        }
        changes
    }

    /// When to call [`give_up`](Self::give_up) and [`poll_probe`](Self::poll_probe) again, if nothing else happens
    /// before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let full = self.flights.len() >= MAX_IN_FLIGHT;
        let down_full = full || self.flights.down() >= MAX_IN_FLIGHT_DOWN;
        let lively = self.queue.next(Line::Lively).filter(|_| !full);
        let down = self.queue.next(Line::Down).filter(|_| !down_full);
        [lively, down, self.flights.next_end()].into_iter().flatten().min()
    }

    /// The worst over the server's advisors: down if one says so, else unknown if one does not know yet, else up.
    /// Of several reasons, a refused connection or a missing address counts most, since nobody can argue with it.
    pub fn health(&self, server: ServerId) -> Health {
        self.records_of(server)
            .map(|record| &record.state)
            .max_by_key(|state| badness(state))
            .cloned()
            .unwrap_or_default()
    }

    /// The longest latency over the server's advisors in milliseconds. `None` while the server is down or nobody has a
    /// valid value.
    pub fn load(&self, server: ServerId, now: Instant) -> Option<f64> {
        if self.health(server).is_down() {
            return None;
        }
        let loads = self.seats_of(server).filter_map(|seat| seat.record.load(seat.target.advisor.timeout, now));
        loads.max_by(f64::total_cmp)
    }

    /// What is known of each target, in the order in which they were first configured.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.targets.values().map(|seat| &seat.record)
    }

    /// What is known of one server, one record per advisor.
    pub fn records_of(&self, server: ServerId) -> impl Iterator<Item = &Record> {
        self.seats_of(server).map(|seat| &seat.record)
    }

    /// Probes on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Probes so far that began more than a tenth of their interval late, because all places were taken or nobody
    /// asked.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Probes so far that never reported back.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn seats_of(&self, server: ServerId) -> impl Iterator<Item = &Seat> {
        self.by_server.get(&server).into_iter().flatten().filter_map(|id| self.targets.get(id))
    }

    fn begin(&mut self, id: TargetId, line: Line, due: Instant, now: Instant) -> Option<ProbeOrder> {
        let probe = ProbeId(self.next_probe);
        self.next_probe += 1;
        let seat = self.targets.get_mut(&id)?;
        let order = seat.order(probe, now)?;
        seat.next = Next::Flying { id: probe };
        let behind = now.saturating_duration_since(due);
        self.late += u64::from(behind > seat.target.advisor.interval / 10);
        let end = later(now, order.total.saturating_add(GRACE));
        self.flights.begin(probe, Flight { target: Some(id), line, begun: now, end });
        Some(order)
    }
}

impl Seat {
    fn line(&self) -> Line {
        if self.record.state.is_down() { Line::Down } else { Line::Lively }
    }

    /// `None` without an address.
    fn order(&self, id: ProbeId, now: Instant) -> Option<ProbeOrder> {
        let Target { advisor, sendproxy, request, response, host, .. } = &self.target;
        let total = patience(advisor, self.record.failing(), now);
        Some(ProbeOrder {
            id,
            kind: advisor.key.kind,
            target: self.target.address?,
            sendproxy: *sendproxy,
            request: dialogue::request(request, host),
            expected: response.clone(),
            connecttimeout: advisor.connecttimeout.min(total),
            receivetimeout: advisor.receivetimeout.min(total),
            total,
            verify: advisor.verify,
            host: host.clone(),
        })
    }
}

/// How bad a state is, for the worst of several.
fn badness(state: &Health) -> u8 {
    match state {
        Health::Up => 0,
        Health::Unknown => 1,
        Health::Down(DownReason::ConnectRefused | DownReason::Unresolved) => 3,
        Health::Down(_) => 2,
    }
}

/// A time beyond what the clock can say is put a year away, which is as good as never.
fn later(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(wait.min(YEAR)).unwrap_or(now)
}

/// Beyond a probe's own timeouts, for a busy loop: the daemon's timers should always be first.
const GRACE: Duration = Duration::from_secs(2);
/// A guard against an interval of zero, which would probe without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
