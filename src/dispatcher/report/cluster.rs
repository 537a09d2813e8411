//! Clusters.

use crate::config::{Operand, Refusal};
use crate::control::reply::{ClusterReport, ClusterStatus};
use crate::executor::PortReading;
use crate::model::{Cluster, Proportions};

use super::Look;
use super::machinery::defaults;
use super::select::{PortView, ServerView};
use super::traffic::{refusals, traffic};

impl<'a> Look<'a> {
    pub(super) fn cluster_status(&self, operand: &Operand) -> Result<Vec<ClusterStatus>, Refusal> {
        let clusters = self.clusters(operand)?;
        Ok(clusters.into_iter().map(|cluster| self.status_of_cluster(cluster)).collect())
    }

    fn status_of_cluster(&self, cluster: &Cluster) -> ClusterStatus {
        ClusterStatus {
            cluster: cluster.name.to_string(),
            address: cluster.address.to_string(),
            ports: cluster.ports.len(),
            proportions: percents(self.heart.proportions(cluster)),
            defaults: defaults(self.heart.document().port_defaults(Some(&cluster.name))),
            overrides: self.changes().to("cluster", &cluster.name),
        }
    }

    pub(super) fn cluster_report(&self, operand: &Operand) -> Result<Vec<ClusterReport>, Refusal> {
        let clusters = self.clusters(operand)?;
        Ok(clusters.into_iter().map(|cluster| self.report_of_cluster(cluster)).collect())
    }

    fn report_of_cluster(&self, cluster: &'a Cluster) -> ClusterReport {
        let ports: Vec<PortView<'_>> = self.ports_of(cluster).collect();
        let servers: Vec<ServerView<'_>> = ports.iter().flat_map(|port| self.servers_of(*port)).collect();
        let readings: Vec<PortReading> = ports.iter().map(|port| port.state.counters.read()).collect();
        ClusterReport {
            cluster: cluster.name.to_string(),
            address: cluster.address.to_string(),
            ports: ports.len(),
            servers: servers.len(),
            usable: servers.iter().filter(|server| server.is_usable()).count(),
            traffic: traffic(servers.iter().map(|server| server.state)),
            refusals: refusals(readings.iter()),
        }
    }
}

/// In IBM's order.
pub(super) fn percents(proportions: Proportions) -> [u8; 4] {
    [proportions.active(), proportions.new_connections(), proportions.port(), proportions.system()]
}
