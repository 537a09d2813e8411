//! Hands the manager its evidence and takes its weights.

use std::time::Instant;

use crate::manager::{PortSample, ServerSample};
use crate::model::{Cluster, Port, PortKey, Proportions};

use super::state::{PortState, ServerState};
use super::{Dispatcher, RATE_INTERVAL};

impl Dispatcher {
    /// Once a second: how many connections began at each server since the last time, and how much was carried.
    pub(super) fn measure_rates(&mut self, now: Instant) {
        if now < self.measure_at {
            return;
        }
        let seconds = now.saturating_duration_since(self.measured).as_secs_f64();
        for server in self.servers.values_mut() {
            server.measure_rates(seconds);
        }
        self.ramp_up(now);
        self.measured = now;
        self.measure_at = now + RATE_INTERVAL;
    }

    /// One round of the manager, when it is due.
    pub(super) fn weigh(&mut self, now: Instant) {
        if self.manager.next_deadline().is_none_or(|due| now < due) {
            return;
        }
        let samples: Vec<PortSample> = self.ports.values().map(|port| self.sample(port, now)).collect();
        for change in self.manager.observe(&samples, now) {
            if let Some(server) = self.servers.get_mut(&change.server) {
                server.weight = change.weight;
                self.dirty.insert(change.port);
            }
        }
    }

    fn sample(&self, port: &PortState, now: Instant) -> PortSample {
        let servers = port.servers.iter().filter_map(|id| self.servers.get(id));
        PortSample {
            port: port.id,
            bound: port.settings.weightbound,
            proportions: port.proportions,
            servers: servers.map(|server| self.server_sample(server, now)).collect(),
        }
    }

    fn server_sample(&self, server: &ServerState, now: Instant) -> ServerSample {
        ServerSample {
            server: server.id,
            weight: server.weight,
            fixed: server.server.fixedweight,
            state: server.server.state,
            down: server.is_down(),
            active: server.counters.active(),
            total: server.counters.begun(),
            advisor: self.advisors.load(server.id, now),
            // No agent delivers a system metric yet; the manager counts an absent one as even for all.
            system: None,
        }
    }

    /// The cluster's proportions, with a percent for the advisors as soon as one looks at any of its ports.
    pub(super) fn proportions(&self, cluster: &Cluster) -> Proportions {
        let advised = |port: &Port| {
            let key = PortKey { cluster: cluster.name.clone(), port: port.number };
            !self.advisors_of(&key).is_empty()
        };
        if cluster.ports.iter().any(advised) { cluster.proportions.with_advisor() } else { cluster.proportions }
    }
}

impl ServerState {
    /// `seconds` have passed since the last time.
    fn measure_rates(&mut self, seconds: f64) {
        let reading = self.counters.read();
        let (new, bytes) = (reading.begun.saturating_sub(self.begun), reading.bytes_in + reading.bytes_out);
        self.counters.set_rate((new as f64 / seconds).round() as u64);
        self.counters.age_bytes();
        self.bytes_per_second = bytes.saturating_sub(self.bytes) as f64 / seconds;
        (self.begun, self.bytes) = (reading.begun, bytes);
    }
}
