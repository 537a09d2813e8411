//! Cross ports: two ports that share affinity records must agree on what a record means.

use super::{Check, View, called};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{Cluster, Port};

impl Check {
    pub(super) fn cross_ports(&mut self, cluster: &Cluster, view: View<'_>) {
        let path = Path::of([Key::named(Kind::Cluster, cluster.name.clone())]);
        for port in cluster.ports.iter().filter(|port| port.crossport != port.number) {
            let other = cluster.ports.iter().find(|other| other.number == port.crossport);
            let Some(reason) = difference(port, other) else { continue };
            let key = Key::port(port.number);
            let written = view.children(Kind::Port).find(|(label, _)| **label == key.label).map(|(_, view)| view);
            let message = format!("{}: crossport {}: {reason}", called(&path.join(key)), port.crossport);
            self.fault(written.and_then(|view| view.place_at("crossport")), message);
        }
    }
}

/// Why the two cannot share records.
fn difference(port: &Port, other: Option<&Port>) -> Option<String> {
    let Some(other) = other else { return Some("this cluster has no such port".to_owned()) };
    if other.crossport != other.number {
        return Some(format!(
            "{} shares those of {} itself; point both to {}",
            other.number, other.crossport, other.crossport
        ));
    }
    if port.stickytime.is_zero() || port.stickytime != other.stickytime {
        let (mine, theirs) = (port.stickytime.as_secs(), other.stickytime.as_secs());
        return Some(format!("both ports need the same `stickytime` above 0; they have {mine} and {theirs}"));
    }
    if port.stickymask != other.stickymask {
        return Some("both ports need the same `stickymask` and `stickymask6`".to_owned());
    }
    let has = |port: &Port, of: &Port| {
        of.servers
            .iter()
            .find(|server| !port.servers.iter().any(|mine| mine.name == server.name && mine.host == server.host))
            .map(|server| server.name.clone())
    };
    let missing = has(port, other).or_else(|| has(other, port));
    missing.map(|name| {
        format!("both ports need the same servers; {name} is on one of them only, or differs in its address")
    })
}
