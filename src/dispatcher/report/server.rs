//! Servers.

use std::time::Instant;

use crate::advisor::{ProbeResult, Record};
use crate::config::{Operand, Refusal};
use crate::control::reply::{Measured, Probe, ProbeView, ServerReport, ServerStatus};
use crate::executor::Marked;
use crate::model::{Health, Weight};

use super::super::state::ServerState;
use super::Look;
use super::select::ServerView;
use super::traffic::{server_responses, traffic};

impl<'a> Look<'a> {
    pub(super) fn server_status(&self, operand: &Operand) -> Result<Vec<ServerStatus>, Refusal> {
        Ok(self.servers(operand)?.into_iter().map(|server| self.status_of_server(server)).collect())
    }

    fn status_of_server(&self, view: ServerView<'_>) -> ServerStatus {
        let (state, server) = (view.state, &view.state.server);
        ServerStatus {
            cluster: view.port.cluster.name.to_string(),
            cluster_address: view.port.cluster.address.to_string(),
            port: view.port.state.key.port.get(),
            server: server.name.to_string(),
            host: server.host.to_string(),
            address: address(state),
            map_port: server.mapport.get(),
            state: server.state.into(),
            health: self.health(state),
            weight: state.shown_weight(),
            saved_weight: state.weight.get(),
            configured_weight: server.weight.get(),
            fixed_weight: server.fixedweight,
            sticky: server.sticky,
            advisor_request: server.advisorrequest.clone(),
            advisor_response: String::from_utf8_lossy(&server.advisorresponse).into_owned(),
            group: view.group().map(ToString::to_string),
            clone_id: server.proxied.clone_id.clone(),
            backup: server.proxied.backup,
            max_connections: server.proxied.max_connections,
            failures: state.counters.mark.failures(),
            left_alone_seconds: match state.counters.mark.read(self.now) {
                Marked::No => None,
                Marked::For(left) => Some(left.as_secs_f64()),
                Marked::Due | Marked::OnTrial => Some(0.0),
            },
            slow_start_weight: state.ramped.map(Weight::get),
            probes: self.heart.advisors.records_of(state.id).map(|record| self.probe_view(record)).collect(),
            overrides: self.changes().to("server", &state.key),
        }
    }

    fn probe_view(&self, record: &Record) -> ProbeView {
        let history: Vec<Probe> = record.history().map(|result| probe(result, self.now)).collect();
        ProbeView {
            advisor: record.advisor.to_string(),
            health: self.measured(&record.state, record.since),
            failures: record.bad_in_row,
            last: history.last().cloned(),
            history,
        }
    }

    pub(super) fn server_report(&self, operand: &Operand) -> Result<Vec<ServerReport>, Refusal> {
        Ok(self.servers(operand)?.into_iter().map(|server| self.report_of_server(server)).collect())
    }

    fn report_of_server(&self, view: ServerView<'_>) -> ServerReport {
        let state = view.state;
        let reading = state.counters.read();
        ServerReport {
            cluster: view.port.cluster.name.to_string(),
            port: view.port.state.key.port.get(),
            server: state.server.name.to_string(),
            address: address(state),
            state: state.server.state.into(),
            health: self.health(state),
            weight: state.shown_weight(),
            saved_weight: state.weight.get(),
            traffic: traffic(std::iter::once(state)),
            port_load: self.port_load(state),
            system_load: self.system_load(state),
            responses: server_responses(&reading),
            failed: reading.failed,
        }
    }

    pub(super) fn health(&self, server: &ServerState) -> Measured {
        self.measured(&server.health, server.since)
    }

    pub(super) fn measured(&self, health: &Health, since: Instant) -> Measured {
        let age = self.now.saturating_duration_since(since).as_secs();
        Measured::new(health, (*health != Health::Unknown).then_some(age))
    }

    /// IBM's number for the load of a server's port: milliseconds, 0 while nobody knows, -1 for no valid answer.
    pub(super) fn port_load(&self, server: &ServerState) -> i64 {
        let answered = || self.heart.advisors.records_of(server.id).any(|record| record.last().is_some());
        match self.heart.advisors.load(server.id, self.now) {
            Some(load) => whole_ms(load),
            None if server.is_down() || answered() => -1,
            None => 0,
        }
    }

    /// As the manager took it last; 0 when there is none.
    pub(super) fn system_load(&self, server: &ServerState) -> i64 {
        let evidence = self.heart.manager.evidence(server.id);
        evidence.and_then(|evidence| evidence.system).map_or(0, |load| load.round() as i64)
    }
}

pub(super) fn address(server: &ServerState) -> Option<String> {
    server.address.map(|address| address.to_string())
}

/// Rounded up, so that a quick answer is not taken for none.
pub(super) fn whole_ms(load: f64) -> i64 {
    (load.ceil() as i64).max(1)
}

fn probe(result: &ProbeResult, now: Instant) -> Probe {
    Probe {
        age_seconds: now.saturating_duration_since(result.at).as_secs_f64(),
        latency_ms: result.failure.is_none().then_some(result.latency.as_secs_f64() * 1000.0),
        fault: result.failure.as_ref().map(ToString::to_string),
    }
}
