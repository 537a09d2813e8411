//! Ranges of ports: which may be, how many, and that no port belongs to two of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::packets::{path_of, ports};
use super::{Check, Config, View, called};
use crate::config::object::Path;
use crate::config::schema::Kind;
use crate::config::value::Value;
use crate::model::{Cluster, MAX_PORT_RANGES, Port, PortNumber};

/// A port with its cluster.
type Owned<'c> = (&'c Cluster, &'c Port);

impl Check {
    /// The end of the port's range, where it is one: a range of one port is that port.
    pub(super) fn lastport(&mut self, path: &Path, number: PortNumber, view: View<'_>) -> Option<PortNumber> {
        let Some(Value::Whole(last)) = view.said("lastport") else { return None };
        let last = PortNumber::new(*last).ok()?;
        let method = view.word("method");
        let wrong = if ["http", "tcp"].contains(&method) {
            format!("method {method} listens on one port; method mac, or a port object for each port, would be right")
        } else if number.is_wildcard() {
            "port 0 stands for all ports already; the first port of the range as the number would be right".to_owned()
        } else if last < number {
            format!("a range that begins at {number} cannot end before it; {number} or more would be right")
        } else {
            return (last > number).then_some(last);
        };
        self.fault(view.place_at("lastport"), format!("{}: `lastport` {last}: {wrong}", called(path)));
        None
    }

    /// Clusters may share an address, so it is addresses that are looked at.
    pub(super) fn ranges(&mut self, config: &Config, root: View<'_>) {
        let mut of_address: BTreeMap<IpAddr, Vec<Owned<'_>>> = BTreeMap::new();
        for (cluster, port) in ports(config) {
            of_address.entry(cluster.address).or_default().push((cluster, port));
        }
        for ports in of_address.values_mut() {
            ports.sort_by_key(|(_, port)| port.number);
            self.too_many_ranges(ports, root);
            self.overlaps(ports, root);
        }
    }

    fn too_many_ranges(&mut self, ports: &[Owned<'_>], root: View<'_>) {
        let wide = || ports.iter().filter(|(_, port)| port.is_range() || port.number.is_wildcard());
        let Some((cluster, port)) = wide().nth(MAX_PORT_RANGES) else { return };
        let message = format!(
            "{} has {} ranges of ports, port 0 among them; {MAX_PORT_RANGES} are the most of one address; fewer and wider \
             ranges, or port 0 for all other ports, would be right",
            cluster.address,
            wide().count()
        );
        self.fault(root.at(&path_of(cluster, port), Kind::Port).place_at("lastport"), message);
    }

    /// In ascending order: what begins within the range that reaches furthest overlaps it. The same number twice is a fault
    /// of its own.
    fn overlaps(&mut self, ports: &[Owned<'_>], root: View<'_>) {
        let mut furthest: Option<Owned<'_>> = None;
        for &(cluster, port) in ports.iter().filter(|(_, port)| !port.number.is_wildcard()) {
            let around =
                furthest.filter(|(_, range)| range.number != port.number && range.ports().contains(&port.number.get()));
            if let Some(range) = around {
                self.within(range, (cluster, port), root);
            }
            if port.is_range() && furthest.is_none_or(|(_, range)| range.ports().end() < port.ports().end()) {
                furthest = Some((cluster, port));
            }
        }
    }

    /// A single port in a range is no fault, it has precedence; but packets reach no listener past the range.
    fn within(&mut self, (its_cluster, range): Owned<'_>, (cluster, port): Owned<'_>, root: View<'_>) {
        let (path, around) = (path_of(cluster, port), called(&path_of(its_cluster, range)));
        let (word, wrong) = if port.is_range() {
            let wrong = format!(
                "{} overlap {around}, which has {}; ranges without a port in common would be right",
                ports_of(port),
                ports_of(range)
            );
            ("lastport", wrong)
        } else if port.method.is_proxy() {
            let wrong = format!(
                "method {} would see no packet here, because {around} has {}; method mac, or a port outside of that range, \
                 would be right",
                port.method.word(),
                ports_of(range)
            );
            ("method", wrong)
        } else {
            return;
        };
        self.fault(root.at(&path, Kind::Port).place_at(word), format!("{}: {wrong}", called(&path)));
    }
}

/// In words.
pub(super) fn ports_of(port: &Port) -> String {
    match port.packets.lastport {
        Some(last) => format!("ports {} to {last}", port.number),
        None => format!("port {}", port.number),
    }
}
