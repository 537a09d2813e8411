//! Ports that follow others: the other is there, and nobody follows itself.

use std::collections::HashSet;

use super::{Check, View, called};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{Cluster, Port, PortNumber};

impl Check {
    pub(super) fn followed_ports(&mut self, cluster: &Cluster, view: View<'_>) {
        let path = Path::of([Key::named(Kind::Cluster, cluster.name.clone())]);
        for port in &cluster.ports {
            let Some(followed) = port.follows else { continue };
            let Some(reason) = wrong(cluster, port, followed) else { continue };
            let key = Key::port(port.number);
            let written = view.children(Kind::Port).find(|(label, _)| **label == key.label).map(|(_, view)| view);
            let message = format!("{}: follows {followed}: {reason}", called(&path.join(key)));
            self.fault(written.and_then(|view| view.place_at("follows")), message);
        }
    }
}

/// Why the port cannot follow.
fn wrong(cluster: &Cluster, port: &Port, followed: PortNumber) -> Option<String> {
    let find = |number: PortNumber| cluster.ports.iter().find(|other| other.number == number);
    if find(followed).is_none() {
        return Some("this cluster has no such port".to_owned());
    }
    let mut seen = HashSet::from([port.number]);
    let mut next = Some(followed);
    while let Some(number) = next {
        if !seen.insert(number) {
            return Some(format!("the ports would wait for each other, as {number} follows in its turn"));
        }
        next = find(number).and_then(|port| port.follows);
    }
    None
}
