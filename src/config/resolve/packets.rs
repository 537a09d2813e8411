//! What must hold where packets are forwarded by MAC address.

use std::collections::HashMap;
use std::net::IpAddr;

use super::ranges::ports_of;
use super::{Check, Config, View, called};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{Cluster, ForwardingMethod, Port, PortKey, Server};

impl Check {
    pub(super) fn packets(&mut self, config: &Config, root: View<'_>) {
        self.one_way_per_address(config, root);
        self.ranges(config, root);
        for cluster in &config.clusters {
            for port in &cluster.ports {
                self.packets_of(cluster, port, root);
            }
        }
        let settings = root.single(Kind::Executor);
        let interfaces = &config.executor.packets.interfaces;
        if interfaces.len() > MAX_INTERFACES {
            let message = format!("`interfaces` names {}; {MAX_INTERFACES} are the most", interfaces.len());
            self.fault(settings.place_at("interfaces"), message);
        }
        if interfaces.is_empty() && config.clusters.iter().any(has_mac) {
            let message = "there are ports of method mac, but `interfaces` of the executor names none, so no packet is \
                           forwarded; the interface that clients' packets come in on would be right";
            self.warning(settings.place(), message.to_owned());
        }
    }

    /// An address is either this host's own, for listeners, or nobody's, so that the host stays silent while packets for it
    /// pass. A collocated server is the exception: its packets go up to this host.
    fn one_way_per_address(&mut self, config: &Config, root: View<'_>) {
        let mut proxies: HashMap<IpAddr, PortKey> = HashMap::new();
        for (cluster, port) in ports(config).filter(|(_, port)| port.listens()) {
            proxies.entry(cluster.address).or_insert_with(|| key_of(cluster, port));
        }
        for (cluster, port) in ports(config).filter(|(_, port)| port.method == ForwardingMethod::Mac) {
            let Some(proxy) = proxies.get(&cluster.address) else { continue };
            if !port.servers.iter().any(|server| server.collocated) {
                let path = path_of(cluster, port);
                let message = format!(
                    "{}: {} has the proxy port {proxy} too, so it is an address of this host, which would answer \
                     packets that servers should; a cluster address of its own for method mac would be right",
                    called(&path),
                    cluster.address
                );
                self.fault(root.at(&path, Kind::Port).place_at("method"), message);
            }
        }
    }

    fn packets_of(&mut self, cluster: &Cluster, port: &Port, root: View<'_>) {
        let path = path_of(cluster, port);
        if port.number.is_wildcard() && port.method.is_proxy() {
            let message = format!(
                "{}: port 0 stands for all ports, which method {} cannot listen on; method mac, or a port object for each \
                 port, would be right",
                called(&path),
                port.method.word()
            );
            self.fault(root.at(&path, Kind::Port).place_at("number"), message);
        }
        for server in &port.servers {
            let path = path.join(Key::named(Kind::Server, server.name.clone()));
            let view = root.at(&path, Kind::Server);
            if port.method == ForwardingMethod::Mac {
                self.mapport_of(port, server, &path, view);
            } else if server.collocated {
                let message = format!("{}: no effect with method {}: collocated", called(&path), port.method.word());
                self.warning(view.place_at("collocated"), message);
            }
        }
    }

    fn mapport_of(&mut self, port: &Port, server: &Server, path: &Path, view: View<'_>) {
        if server.mapport != port.number {
            let message = format!(
                "{}: `mapport` {} has no place on a port of method mac, which changes nothing in a packet; the server must \
                 listen on {}",
                called(path),
                server.mapport,
                ports_of(port)
            );
            self.fault(view.place_at("mapport"), message);
        }
    }
}

/// Each gets a program of its own.
const MAX_INTERFACES: usize = 8;

fn has_mac(cluster: &Cluster) -> bool {
    cluster.ports.iter().any(|port| port.method == ForwardingMethod::Mac)
}

pub(super) fn ports(config: &Config) -> impl Iterator<Item = (&Cluster, &Port)> {
    config.clusters.iter().flat_map(|cluster| cluster.ports.iter().map(move |port| (cluster, port)))
}

fn key_of(cluster: &Cluster, port: &Port) -> PortKey {
    PortKey { cluster: cluster.name.clone(), port: port.number }
}

pub(super) fn path_of(cluster: &Cluster, port: &Port) -> Path {
    Path::of([Key::named(Kind::Cluster, cluster.name.clone()), Key::port(port.number)])
}
