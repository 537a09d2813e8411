//! Slow start: a server that came back gets from a little to its whole share, while its caches fill and its code compiles.

use std::time::{Duration, Instant};

use crate::model::{AdministrativeState, PortId, ServerId, Weight};

use super::Dispatcher;
use super::state::{PortState, ServerState};

impl Dispatcher {
    /// The server may be used again: an advisor or the operator says so after it was down, which counts more than what
    /// requests found before. It begins slowly where others carry the load meanwhile; the first one back does not,
    /// because somebody has to.
    pub(super) fn come_back(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get(&id) else { return };
        let Some(port) = self.ports.get(&server.port) else { return };
        let slow = slow_start(port, server);
        let carries = |other: &ServerId| {
            *other != id
                && self
                    .servers
                    .get(other)
                    .is_some_and(|other| !other.is_down() && other.server.state == AdministrativeState::Up)
        };
        let starts_slowly = !slow.is_zero() && port.servers.iter().any(carries);
        let port = port.id;
        if let Some(server) = self.servers.get_mut(&id) {
            server.counters.mark.succeed();
            server.ramp = starts_slowly.then_some(now);
            server.ramped = starts_slowly.then(|| least(server.weight));
            self.dirty.insert(port);
        }
    }

    /// Once a second: those that began slowly get a little more.
    pub(super) fn ramp_up(&mut self, now: Instant) {
        let mut changed: Vec<PortId> = Vec::new();
        for server in self.servers.values_mut() {
            let Some(began) = server.ramp else { continue };
            let slow = self.ports.get(&server.port).map_or(Duration::ZERO, |port| slow_start(port, server));
            let passed = now.saturating_duration_since(began);
            let next = (passed < slow).then(|| share(server.weight, passed, slow));
            if next.is_none() {
                server.ramp = None;
            }
            if server.ramped != next {
                server.ramped = next;
                changed.push(server.port);
            }
        }
        self.dirty.extend(changed);
    }
}

/// Of its group, or of its port.
fn slow_start(port: &PortState, server: &ServerState) -> Duration {
    let group = port.settings.groups.iter().find(|group| group.servers.contains(&server.server.name));
    group.map_or(&port.settings.policy, |group| &group.policy).slow_start
}

/// What a server has of its weight after this part of its slow start, at least a little.
fn share(weight: Weight, passed: Duration, slow: Duration) -> Weight {
    let part = passed.as_secs_f64() / slow.as_secs_f64().max(f64::MIN_POSITIVE);
    let share = (f64::from(weight.get()) * part).ceil() as u64;
    Weight::new(share).unwrap_or(weight).clamp(least(weight), weight)
}

/// A server of weight 0 takes nothing, however it starts.
fn least(weight: Weight) -> Weight {
    Weight::new(1).unwrap_or(weight).min(weight)
}
