//! The manager: its settings, and the weights with what they come from.

use crate::config::{Operand, Refusal};
use crate::control::reply::{ManagerPort, ManagerReport, ManagerServer, ManagerStatus};
use crate::manager::reported_weight;

use super::Look;
use super::cluster::percents;
use super::select::{PortView, ServerView};
use super::server::address;

impl<'a> Look<'a> {
    pub(super) fn manager_status(&self) -> ManagerStatus {
        let settings = self.heart.config().manager;
        ManagerStatus {
            running: settings.running,
            interval_seconds: settings.interval.as_secs_f64(),
            refresh: settings.refresh,
            sensitivity: settings.sensitivity,
            smoothing: settings.smoothing,
            velocity_limit: settings.velocitylimit,
            fail_open: settings.failopen,
            log_level: self.heart.config().log.level.get(),
            overrides: self.changes().to_only("manager"),
        }
    }

    pub(super) fn manager_report(&self, operand: &Operand) -> Result<ManagerReport, Refusal> {
        let clusters = self.clusters(operand)?;
        let ports = clusters.into_iter().flat_map(|cluster| self.ports_of(cluster)).map(|port| self.weights_of(port));
        Ok(ManagerReport { ports: ports.collect() })
    }

    fn weights_of(&self, port: PortView<'a>) -> ManagerPort {
        ManagerPort {
            cluster: port.cluster.name.to_string(),
            cluster_address: port.cluster.address.to_string(),
            port: port.state.key.port.get(),
            proportions: percents(port.state.proportions),
            servers: self.servers_of(port).map(|server| self.weight_of(server)).collect(),
        }
    }

    fn weight_of(&self, view: ServerView<'_>) -> ManagerServer {
        let state = view.state;
        let evidence = self.heart.manager.evidence(state.id);
        let computed = evidence.map_or(state.weight, |evidence| evidence.weight);
        ManagerServer {
            server: state.server.name.to_string(),
            address: address(state),
            state: state.server.state.into(),
            health: self.health(state),
            now: state.shown_weight(),
            new: reported_weight(computed, state.server.state, state.is_down()),
            active: state.counters.active(),
            new_connections: evidence.and_then(|evidence| evidence.new).unwrap_or_default(),
            port_load: self.port_load(state),
            system_load: self.system_load(state),
        }
    }
}
