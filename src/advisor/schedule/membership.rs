//! Which targets there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Advisors, HealthChange, MAX_IN_FLIGHT, Next, Seat, later};
use crate::advisor::queue::TargetId;
use crate::advisor::record::Record;
use crate::advisor::target::Target;
use crate::model::{Health, ServerId};

impl Advisors {
    /// From now on exactly these targets are probed; a second one with the same advisor and server is left out.
    ///
    /// Targets that stay keep their history and their place in the schedule, and use changed settings from their next
    /// probe. One with another address is probed at once. One without an address is down without a probe. Servers
    /// that lose their last target become unknown.
    pub fn configure(&mut self, targets: Vec<Target>, now: Instant) -> Vec<HealthChange> {
        let before = self.all_health();
        let mut left = std::mem::take(&mut self.by_key);
        self.by_server.clear();
        let spread = self.spread(targets.len());
        for target in targets {
            let key = (target.advisor.key.clone(), target.server);
            if self.by_key.contains_key(&key) {
                continue;
            }
            let server = target.server;
            let id = match left.remove(&key) {
                Some(id) => self.change(id, target, now),
                None => self.add(target, spread, now),
            };
            self.by_key.insert(key, id);
            self.by_server.entry(server).or_default().push(id);
        }
        for id in left.into_values() {
            self.remove(id);
        }
        self.changes_since(&before)
    }

    /// First probes begin at once, unless there are more than places: then within a tenth of their interval.
    fn spread(&self, targets: usize) -> bool {
        targets.saturating_sub(self.targets.len()) > MAX_IN_FLIGHT
    }

    fn add(&mut self, target: Target, spread: bool, now: Instant) -> TargetId {
        let id = TargetId(self.next_target);
        self.next_target += 1;
        let record = Record::new(target.advisor.key.clone(), target.server, target.key.clone(), now);
        let mut seat = Seat { target, record, next: Next::Unresolved };
        if seat.target.address.is_some() {
            let wait = if spread { self.jitter.within(seat.target.advisor.interval / 10) } else { Duration::ZERO };
            let at = later(now, wait);
            seat.next = Next::Due { at, begun: None };
            self.queue.insert(seat.line(), at, id);
        } else {
            seat.record.unresolved(now);
        }
        self.targets.insert(id, seat);
        id
    }

    fn change(&mut self, id: TargetId, target: Target, now: Instant) -> TargetId {
        let Some(seat) = self.targets.get_mut(&id) else { return id };
        let old = std::mem::replace(&mut seat.target, target);
        seat.record.key = seat.target.key.clone();
        if old.address != seat.target.address {
            self.readdress(id, now);
        } else if let Next::Due { at, begun } = seat.next {
            // A shorter interval counts from the beginning of the last probe, as if it had always been so.
            let sooner = begun.map_or(now, |begun| later(begun, seat.target.advisor.interval)).max(now).min(at);
            seat.next = Next::Due { at: sooner, begun };
            self.queue.remove(at, id);
            self.queue.insert(seat.line(), sooner, id);
        }
        id
    }

    /// The server moved, got its address, or lost it: what flies or waits is for the old one.
    fn readdress(&mut self, id: TargetId, now: Instant) {
        self.leave_schedule(id);
        let Some(seat) = self.targets.get_mut(&id) else { return };
        if seat.target.address.is_none() {
            seat.next = Next::Unresolved;
            seat.record.unresolved(now);
            return;
        }
        seat.record.readdressed(now);
        seat.next = Next::Due { at: now, begun: None };
        self.queue.insert(seat.line(), now, id);
    }

    fn remove(&mut self, id: TargetId) {
        self.leave_schedule(id);
        self.targets.remove(&id);
    }

    fn leave_schedule(&mut self, id: TargetId) {
        match self.targets.get(&id).map(|seat| seat.next) {
            Some(Next::Due { at, .. }) => self.queue.remove(at, id),
            Some(Next::Flying { id: probe }) => self.flights.orphan(probe),
            Some(Next::Unresolved) | None => {}
        }
    }

    fn all_health(&self) -> BTreeMap<ServerId, Health> {
        self.by_server.keys().map(|server| (*server, self.health(*server))).collect()
    }

    fn changes_since(&self, before: &BTreeMap<ServerId, Health>) -> Vec<HealthChange> {
        let now = self.all_health();
        let mut servers: Vec<ServerId> = before.keys().chain(now.keys()).copied().collect();
        servers.sort_unstable();
        servers.dedup();
        let of = |map: &BTreeMap<ServerId, Health>, server| map.get(&server).cloned().unwrap_or_default();
        let change = |server| HealthChange { server, before: of(before, server), after: of(&now, server) };
        servers.into_iter().map(change).filter(|change| change.before != change.after).collect()
    }
}
