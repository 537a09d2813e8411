//! Clusters: addresses, proportions, and that no two ports want the same socket.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Check, View};
use crate::config::object::{Key, Label, Path};
use crate::config::schema::Kind;
use crate::config::value::Value;
use crate::model::{
    Claim, Cluster, MAX_CLUSTERS, MAX_PORTS, MAX_SERVERS, Name, PacketSettings, Port, PortNumber, Proportions, Unserved,
};

impl Check {
    pub(super) fn clusters(&mut self, root: View<'_>) -> Vec<Cluster> {
        self.bounds(root);
        self.no_socket_twice(root);
        root.named(Kind::Cluster).filter_map(|(name, view)| self.cluster(name, view)).collect()
    }

    /// Each place is that of the first one too many.
    fn bounds(&mut self, root: View<'_>) {
        let clusters = || root.children(Kind::Cluster).map(|(_, cluster)| cluster);
        let ports = || clusters().flat_map(|cluster| cluster.children(Kind::Port).map(|(_, port)| port));
        let servers = || ports().flat_map(|port| port.children(Kind::Server).map(|(_, server)| server));
        if let Some(first) = clusters().nth(MAX_CLUSTERS) {
            let count = clusters().count();
            self.fault(first.place(), format!("there are {count} clusters; {MAX_CLUSTERS} is the most"));
        }
        if let Some(first) = ports().nth(MAX_PORTS) {
            let count = ports().count();
            self.fault(first.place(), format!("there are {count} ports; {MAX_PORTS} is the most over all clusters"));
        }
        if let Some(first) = servers().nth(MAX_SERVERS) {
            let count = servers().count();
            self.fault(first.place(), format!("there are {count} servers; {MAX_SERVERS} is the most over all ports"));
        }
    }

    fn cluster(&mut self, name: &Name, view: View<'_>) -> Option<Cluster> {
        let address = self.cluster_address(name, view);
        // A cluster without a right address is left out, but its ports are looked at all the same.
        let shown = address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let path = Path::of([Key::named(Kind::Cluster, name.clone())]);
        let numbered = view.children(Kind::Port).filter_map(|(label, port)| match label {
            Label::Number(number) => Some((*number, port)),
            _ => None,
        });
        let claim = if view.word("claim") == "none" { Claim::None } else { Claim::Auto };
        let unserved = if view.word("unserved") == "pass" { Unserved::Pass } else { Unserved::Drop };
        let mut ports: Vec<Port> =
            numbered.filter_map(|(number, port)| self.port(&path, shown, number, port)).collect();
        for port in &mut ports {
            port.packets = PacketSettings { claim, unserved, ..port.packets };
        }
        let cluster = Cluster {
            name: name.clone(),
            address: shown,
            proportions: proportions(view),
            claim,
            primaryhost: view.address("primaryhost"),
            unserved,
            ports,
        };
        self.cross_ports(&cluster, view);
        self.followed_ports(&cluster, view);
        address.map(|_| cluster)
    }

    fn cluster_address(&mut self, name: &Name, view: View<'_>) -> Option<IpAddr> {
        let address = address(name, view);
        if address.is_none() && view.is_silent_on("address") {
            let message = format!("cluster {name} has no `address`, and its name is none");
            self.fault(view.place(), message);
        }
        let unusable = address.filter(|address| address.is_multicast() || is_broadcast(*address));
        if let Some(address) = unusable {
            let message =
                format!("cluster {name}: nobody can connect to {address}; an address of one machine would be right");
            self.fault(view.place_at("address"), message);
        }
        address
    }

    fn no_socket_twice(&mut self, root: View<'_>) {
        let mut taken: HashMap<(IpAddr, PortNumber), &Name> = HashMap::new();
        for (name, cluster) in root.named(Kind::Cluster) {
            let Some(address) = address(name, cluster) else { continue };
            for (label, port) in cluster.children(Kind::Port) {
                let Label::Number(number) = label else { continue };
                if let Some(other) = taken.insert((address, *number), name) {
                    let message = format!("{address} port {number} is in cluster {other} already, and again in {name}");
                    self.fault(port.place(), message);
                }
            }
        }
    }
}

/// The address as written, else the name where it is one.
fn address(name: &Name, view: View<'_>) -> Option<IpAddr> {
    if view.is_silent_on("address") { name.as_str().parse().ok() } else { view.address("address") }
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

fn proportions(view: View<'_>) -> Proportions {
    let Some(Value::Parts(parts)) = view.said("proportions") else { return Proportions::DEFAULT };
    let [active, new, port, system] = parts.map(u64::from);
    Proportions::new(active, new, port, system).unwrap_or(Proportions::DEFAULT)
}
