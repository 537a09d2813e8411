//! The pair: what a partner needs, ways that lead to it, and times that fit together.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Check, Config, View};
use crate::config::object::Label;
use crate::config::schema::Kind;
use crate::config::value::Value;
use crate::model::{
    Claim, Cluster, HeartbeatPath, MOST_PATHS, MOST_REACH_TARGETS, Name, PairRole, PairSettings, Port, PortNumber,
    Reach, Recovery, Timings, Tracked,
};

impl Check {
    /// `None`: there is no partner. What is said of it all the same is looked at too.
    pub(super) fn pair(&mut self, view: View<'_>) -> Option<PairSettings> {
        let paths = self.paths(view);
        let timings = self.timings(view, paths.len());
        let reach = self.reach(view, &paths);
        let key = PathBuf::from(view.text("key"));
        let Some(role) = role(view) else {
            self.without_role(view, &paths);
            return None;
        };
        self.partner_needs(view, role, &paths);
        Some(PairSettings {
            role,
            recovery: if view.word("recovery") == "manual" { Recovery::Manual } else { Recovery::Auto },
            port: PortNumber::new(view.whole("port")).ok()?,
            key,
            node: Name::new(view.text("node")).ok(),
            paths,
            timings: timings?,
            hold: view.seconds("hold"),
            reach,
            tracked: tracked(view),
            probeport: PortNumber::new(view.whole("probeport")).ok().filter(|port| !port.is_wildcard()),
        })
    }

    /// An operator says one thing after the other, so this is advice and no fault.
    fn without_role(&mut self, view: View<'_>, paths: &[HeartbeatPath]) {
        if !paths.is_empty() && view.is_silent_on("role") {
            let message = "highavailability has heartbeats and no `role`, so there is no partner; `highavailability backup add` or `role` would be right";
            self.warning(view.place(), message.to_owned());
        }
    }

    fn partner_needs(&mut self, view: View<'_>, role: PairRole, paths: &[HeartbeatPath]) {
        let role = role.word();
        if view.children(Kind::Heartbeat).next().is_none() {
            let message = format!(
                "highavailability: role {role} needs a way to the partner; a heartbeat with source and destination would be right"
            );
            self.fault(view.place_at("role"), message);
        }
        let is_faulty = !view.is_silent_on("key") && view.said("key").is_none();
        if view.text("key").is_empty() && !is_faulty {
            let message = format!(
                "highavailability: role {role} needs a `key`, a file with the same secret on both dispatchers, or anybody could say who serves"
            );
            self.fault(view.place_at("role"), message);
        }
        if paths.len() == 1 && matches!(view.word("profile"), "standard" | "fast") {
            let profile = view.word("profile");
            let message = format!(
                "highavailability: profile {profile} with a single heartbeat: a few lost packets in a row look like a dead partner; a second way, or profile ibm, would be right"
            );
            self.warning(view.place_at("profile"), message);
        }
    }

    fn paths(&mut self, view: View<'_>) -> Vec<HeartbeatPath> {
        let heartbeats = || {
            view.children(Kind::Heartbeat).filter_map(|(label, heartbeat)| match label {
                Label::Heartbeat(path) => Some((*path, heartbeat)),
                _ => None,
            })
        };
        if let Some((_, first)) = heartbeats().nth(MOST_PATHS) {
            let count = heartbeats().count();
            self.fault(first.place(), format!("there are {count} heartbeats; {MOST_PATHS} is the most"));
        }
        let destinations: HashSet<IpAddr> = heartbeats().map(|(path, _)| path.destination).collect();
        for (path, heartbeat) in heartbeats() {
            if let Some(fault) = wrong_path(path, &destinations) {
                let message = format!("heartbeat {path}: {fault}");
                self.fault(heartbeat.place(), message);
            }
        }
        heartbeats().map(|(path, _)| path).collect()
    }

    /// The profile's, with what is said of one of the two.
    fn timings(&mut self, view: View<'_>, paths: usize) -> Option<Timings> {
        let profile = match view.word("profile") {
            "standard" => Timings::STANDARD,
            "fast" => Timings::FAST,
            "ibm" => Timings::IBM,
            _ => Timings::for_paths(paths),
        };
        let said = |word, otherwise: Duration| match view.said(word) {
            Some(Value::Seconds(said)) => *said,
            _ => otherwise,
        };
        let (interval, dead) = (said("interval", profile.interval()), said("hatimeout", profile.dead()));
        let word = if view.is_silent_on("hatimeout") { "interval" } else { "hatimeout" };
        let timings = Timings::new(interval, dead);
        timings.map_err(|fault| self.fault(view.place_at(word), format!("highavailability: {fault}"))).ok()
    }

    fn reach(&mut self, view: View<'_>, paths: &[HeartbeatPath]) -> Reach {
        let targets: Vec<IpAddr> = view.list("reach").into_iter().filter_map(|target| target.parse().ok()).collect();
        let place = view.place_at("reach");
        if targets.len() > MOST_REACH_TARGETS {
            let count = targets.len();
            self.fault(place, format!("there are {count} reach targets; {MOST_REACH_TARGETS} is the most"));
        }
        let mut seen = HashSet::new();
        for target in &targets {
            if !seen.insert(target) {
                self.fault(place, format!("reach target {target} is there twice"));
            }
            if paths.iter().any(|path| path.source == *target) {
                let message = format!(
                    "reach target {target} is this dispatcher itself; an address beyond it, as the gateway's, would be right"
                );
                self.fault(place, message);
            }
        }
        Reach { targets, interval: view.seconds("reachinterval") }
    }

    /// What the clusters have to do with the pair.
    pub(super) fn pair_beside_clusters(&mut self, config: &Config, root: View<'_>) {
        let view = root.single(Kind::HighAvailability);
        for cluster in &config.clusters {
            self.cluster_among_addresses(cluster, view);
            self.probeport_beside(cluster, view);
        }
        let Some(pair) = &config.pair else { return };
        for (name, of_cluster) in root.named(Kind::Cluster) {
            let Some(cluster) = config.clusters.iter().find(|cluster| cluster.name == *name) else { continue };
            self.primaryhost(cluster, pair, of_cluster);
        }
    }

    /// A cluster's address is on either of the two dispatchers, so it leads to neither and tells nothing.
    fn cluster_among_addresses(&mut self, cluster: &Cluster, view: View<'_>) {
        let address = cluster.address;
        if view.list("reach").iter().any(|target| target.parse() == Ok(address)) {
            let message = format!(
                "reach target {address} is the address of cluster {}, which this dispatcher answers for itself; the gateway's would be right",
                cluster.name
            );
            self.fault(view.place_at("reach"), message);
        }
        for (label, heartbeat) in view.children(Kind::Heartbeat) {
            let Label::Heartbeat(path) = label else { continue };
            if path.source == address || path.destination == address {
                let message = format!(
                    "heartbeat {path}: {address} is the address of cluster {}, which moves from one dispatcher to the other; one that stays would be right",
                    cluster.name
                );
                self.fault(heartbeat.place(), message);
            }
        }
    }

    fn probeport_beside(&mut self, cluster: &Cluster, view: View<'_>) {
        let probeport = view.whole("probeport");
        let clashes = |port: &Port| port.listens() && u64::from(port.number.get()) == probeport;
        if probeport > 0 && cluster.ports.iter().any(clashes) {
            let message =
                format!("probeport {probeport} is a port of cluster {}; another one would be right", cluster.name);
            self.fault(view.place_at("probeport"), message);
        }
    }

    fn primaryhost(&mut self, cluster: &Cluster, pair: &PairSettings, view: View<'_>) {
        let is_claimed = cluster.claim == Claim::Auto;
        let name = &cluster.name;
        match (pair.role, cluster.primaryhost) {
            (PairRole::Both, None) if is_claimed => {
                let message = format!(
                    "cluster {name} has no `primaryhost`; with role both, an address of the dispatcher that serves it would be right"
                );
                self.fault(view.place(), message);
            }
            (PairRole::Both, Some(host)) if pair.side_of(host).is_none() => {
                let message = format!(
                    "cluster {name}: primaryhost {host} is in no heartbeat, so it is neither this dispatcher nor the partner"
                );
                self.fault(view.place_at("primaryhost"), message);
            }
            (PairRole::Primary | PairRole::Backup, Some(_)) => {
                let message =
                    format!("cluster {name}: `primaryhost` counts in a pair with role both; here the role tells");
                self.warning(view.place_at("primaryhost"), message);
            }
            _ => {}
        }
    }
}

/// What is wrong with a path.
fn wrong_path(path: HeartbeatPath, destinations: &HashSet<IpAddr>) -> Option<String> {
    let HeartbeatPath { source, destination } = path;
    let unusable = [source, destination].into_iter().find(|address| !is_of_one_machine(*address));
    if source == destination {
        return Some("it leads from this dispatcher to itself; the partner's address would be right".to_owned());
    }
    if source.is_ipv4() != destination.is_ipv4() {
        return Some("the two addresses are of different families".to_owned());
    }
    if let Some(address) = unusable {
        return Some(format!("{address} is no address of one machine"));
    }
    destinations
        .contains(&source)
        .then(|| format!("{source} is the partner's address in another heartbeat, and this dispatcher's here"))
}

fn is_of_one_machine(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}

fn role(view: View<'_>) -> Option<PairRole> {
    match view.word("role") {
        "primary" => Some(PairRole::Primary),
        "backup" => Some(PairRole::Backup),
        "both" => Some(PairRole::Both),
        _ => None,
    }
}

fn tracked(view: View<'_>) -> Tracked {
    Tracked {
        interfaces: view.list("trackinterfaces").into_iter().map(str::to_owned).collect(),
        scripts: view.list("trackscripts").into_iter().filter_map(|name| Name::new(name).ok()).collect(),
    }
}
