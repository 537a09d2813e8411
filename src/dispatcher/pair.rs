//! The pair as it is configured: what the daemon needs to run this dispatcher's half.
//!
//! The machine of `high_availability` knows groups and paths by number. Which clusters a group is, and which addresses a path, is
//! decided here, so that both dispatchers count alike.

use std::net::IpAddr;

use crate::config::{Config, Refusal};
use crate::executor::fnv1a;
use crate::high_availability::{Configuration, GroupId, NodeId, PathId, Report, Role, Settings};
use crate::model::{Claim, Cluster, HeartbeatPath, Name, PairRole, PairSettings, Side};

use super::Dispatcher;

/// This dispatcher's half of a pair.
#[derive(Clone, Copy, Debug)]
pub struct PairPlan<'a> {
    pub settings: &'a PairSettings,
    config: &'a Config,
}

/// Clusters that are claimed together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairGroup {
    pub id: GroupId,
    /// Of this dispatcher.
    pub role: Role,
    /// An address of the dispatcher that is the primary.
    pub primary_host: Option<IpAddr>,
    pub clusters: Vec<Name>,
    /// The clusters' addresses.
    pub addresses: Vec<IpAddr>,
}

/// What the pair's machine says, with what the daemon measured for it.
#[derive(Clone, Debug)]
pub struct PairReading {
    pub report: Report,
    /// Targets that were pinged, and whether they answer.
    pub reach: Vec<(IpAddr, bool)>,
    /// Datagrams that were not believed, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// Why a command of the pair has nobody to carry it out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoPair {
    #[error("this dispatcher has no partner; `highavailability backup add` gives it one")]
    NotConfigured,
    #[error("the pair is not running: this dispatcher sends no heartbeats, and its partner cannot take over")]
    NotRunning,
    #[error("with role both, say whose clusters: `highavailability takeover {0}` would be right")]
    WhichHost(IpAddr),
    #[error("{0} is in no heartbeat, so it is neither this dispatcher nor the partner")]
    UnknownHost(IpAddr),
}

impl NoPair {
    /// As operators read it.
    pub fn refusal(self) -> Refusal {
        Refusal::Refused(self.to_string())
    }
}

impl Dispatcher {
    /// `None`: there is no partner.
    pub fn pair(&self) -> Option<PairPlan<'_>> {
        let config = self.config();
        config.pair.as_ref().map(|settings| PairPlan::new(settings, config))
    }

    /// In a pair, the group that decides who serves a cluster.
    pub fn group_of(&self, cluster: &Name) -> Option<GroupId> {
        let plan = self.pair()?;
        let cluster = plan.config.clusters.iter().find(|one| one.name == *cluster)?;
        Some(plan.group_of(cluster))
    }
}

impl<'a> PairPlan<'a> {
    pub(super) fn new(settings: &'a PairSettings, config: &'a Config) -> Self {
        Self { settings, config }
    }

    /// One group of all clusters, or with role both the two dispatchers' own.
    pub fn groups(&self) -> Vec<PairGroup> {
        match self.settings.role {
            PairRole::Primary => vec![self.group(GroupId(0), Role::Primary, None)],
            PairRole::Backup => vec![self.group(GroupId(0), Role::Backup, None)],
            PairRole::Both => {
                let (ours, theirs) = if self.counts_first() { (0, 1) } else { (1, 0) };
                let mut groups = vec![
                    self.group(GroupId(ours), Role::Primary, Some(Side::Here)),
                    self.group(GroupId(theirs), Role::Backup, Some(Side::Partner)),
                ];
                groups.sort_by_key(|group| group.id);
                groups
            }
        }
    }

    /// The two agree on who is the first without a word: it is the one with the lowest address among the heartbeats, which both
    /// have, with source and destination the other way round.
    fn counts_first(&self) -> bool {
        let paths = || self.settings.paths.iter();
        paths().map(|path| path.source).min() < paths().map(|path| path.destination).min()
    }

    fn group(&self, id: GroupId, role: Role, of: Option<Side>) -> PairGroup {
        let claimed = self.config.clusters.iter().filter(|cluster| cluster.claim == Claim::Auto);
        let is_of = |host: Option<IpAddr>| of.is_none() || host.and_then(|host| self.settings.side_of(host)) == of;
        let (clusters, addresses) = claimed
            .filter(|cluster| is_of(cluster.primaryhost))
            .map(|cluster| (cluster.name.clone(), cluster.address))
            .unzip();
        PairGroup { id, role, primary_host: self.primary_host(role), clusters, addresses }
    }

    /// Who serves a cluster, whether it is claimed or not.
    fn group_of(&self, cluster: &Cluster) -> GroupId {
        let side = cluster.primaryhost.and_then(|host| self.settings.side_of(host));
        let role = if side == Some(Side::Partner) { Role::Backup } else { Role::Primary };
        let groups = self.groups();
        let found = groups.iter().find(|group| groups.len() == 1 || group.role == role);
        found.map_or(GroupId(0), |group| group.id)
    }

    fn primary_host(&self, role: Role) -> Option<IpAddr> {
        let path = self.settings.paths.first()?;
        Some(match role {
            Role::Primary => path.source,
            Role::Backup => path.destination,
        })
    }

    /// The group that `takeover` means.
    pub fn taken_over(&self, primaryhost: Option<IpAddr>) -> Result<GroupId, NoPair> {
        let groups = self.groups();
        let side = primaryhost.map(|host| self.settings.side_of(host).ok_or(NoPair::UnknownHost(host)));
        let role = match (self.settings.role, side.transpose()?) {
            (PairRole::Primary | PairRole::Backup, _) => return Ok(GroupId(0)),
            (PairRole::Both, Some(Side::Here)) => Role::Primary,
            (PairRole::Both, Some(Side::Partner)) => Role::Backup,
            (PairRole::Both, None) => {
                let theirs = self.settings.paths.first().map(|path| path.destination);
                return Err(theirs.map_or(NoPair::NotConfigured, NoPair::WhichHost));
            }
        };
        let meant = groups.into_iter().find(|group| group.role == role);
        meant.map(|group| group.id).ok_or(NoPair::NotConfigured)
    }

    /// Interfaces that need a carrier: those that packets are forwarded on, and those that are tracked besides.
    pub fn interfaces(&self) -> Vec<String> {
        let mut names = self.config.executor.packets.interfaces.clone();
        names.extend(self.settings.tracked.interfaces.iter().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Of what the two dispatchers should serve alike: clusters, ports and servers. The same on both and in every version.
    pub fn clusters_hash(&self) -> u64 {
        let mut text = String::new();
        for cluster in &self.config.clusters {
            text.push_str(&format!("{} {}\n", cluster.name, cluster.address));
            for port in &cluster.ports {
                text.push_str(&format!(" {}\n", port.number.get()));
                let servers = port.servers.iter().map(|server| format!("  {} {}\n", server.name, server.host));
                text.extend(servers);
            }
        }
        fnv1a(&text)
    }

    /// What the machine is made of.
    pub fn machine(&self, node: NodeId, version: u16, configuration: Configuration) -> Settings {
        Settings {
            node,
            groups: self.groups().into_iter().map(|group| (group.id, group.role)).collect(),
            paths: self.settings.paths.iter().map(path_id).collect(),
            timings: self.settings.timings,
            recovery: self.settings.recovery,
            hold: self.settings.hold,
            version,
            configuration,
        }
    }
}

/// The number of a path: the same on both dispatchers, which see it from two sides, and however many others there are.
pub fn path_id(path: &HeartbeatPath) -> PathId {
    let (one, other) = (path.source.min(path.destination), path.source.max(path.destination));
    let hash = fnv1a(&format!("{one} {other}"));
    PathId((hash ^ (hash >> u32::BITS)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    fn config(role: &str, source: &str, destination: &str) -> Config {
        let script = format!(
            "highavailability set key /k\nhighavailability heartbeat add {source} {destination}\n\
             cluster add a address 192.0.2.1 primaryhost 10.0.0.1\ncluster add b address 192.0.2.2 primaryhost 10.0.0.2\n\
             cluster add c address 192.0.2.3 claim none\nhighavailability backup add {role} auto\n"
        );
        let document = Document::parse(&script, "x.cfg").unwrap_or_else(|faults| panic!("{faults}"));
        document.resolve().unwrap_or_else(|faults| panic!("{faults}")).config
    }

    fn with<T>(config: &Config, look: impl FnOnce(PairPlan<'_>) -> T) -> T {
        look(PairPlan::new(config.pair.as_ref().expect("a pair"), config))
    }

    /// Each group's number, our role in it, and its clusters.
    fn groups(config: &Config) -> Vec<(u8, Role, Vec<String>)> {
        let names =
            |group: PairGroup| (group.id.0, group.role, group.clusters.iter().map(ToString::to_string).collect());
        with(config, |plan| plan.groups().into_iter().map(names).collect())
    }

    #[test]
    fn one_dispatcher_serves_all_that_is_claimed() {
        let all = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(groups(&config("primary", "10.0.0.1", "10.0.0.2")), [(0, Role::Primary, all.clone())]);
        assert_eq!(groups(&config("backup", "10.0.0.2", "10.0.0.1")), [(0, Role::Backup, all)]);
    }

    #[test]
    fn both_dispatchers_count_the_groups_alike() {
        let of = |name: &str| vec![name.to_owned()];
        let (first, second) = (config("both", "10.0.0.1", "10.0.0.2"), config("both", "10.0.0.2", "10.0.0.1"));
        assert_eq!(groups(&first), [(0, Role::Primary, of("a")), (1, Role::Backup, of("b"))]);
        assert_eq!(groups(&second), [(0, Role::Backup, of("a")), (1, Role::Primary, of("b"))]);
    }

    #[test]
    fn every_cluster_has_a_group_claimed_or_not() {
        let of = |config: &Config| {
            with(config, |plan| config.clusters.iter().map(|cluster| plan.group_of(cluster).0).collect::<Vec<_>>())
        };
        assert_eq!(of(&config("primary", "10.0.0.1", "10.0.0.2")), [0, 0, 0]);
        assert_eq!(of(&config("backup", "10.0.0.2", "10.0.0.1")), [0, 0, 0]);
        assert_eq!(of(&config("both", "10.0.0.1", "10.0.0.2"))[..2], [0, 1]);
        assert_eq!(of(&config("both", "10.0.0.2", "10.0.0.1"))[..2], [0, 1]);
    }

    #[test]
    fn both_dispatchers_number_a_path_alike_and_each_otherwise() {
        let path = |source: &str, destination: &str| {
            let address = |text: &str| text.parse().expect("an address");
            path_id(&HeartbeatPath { source: address(source), destination: address(destination) })
        };
        assert_eq!(path("10.0.0.1", "10.0.0.2"), path("10.0.0.2", "10.0.0.1"));
        let others = [path("10.0.0.1", "10.0.0.3"), path("10.0.1.1", "10.0.1.2"), path("fe80::1", "fe80::2")];
        assert!(!others.contains(&path("10.0.0.1", "10.0.0.2")), "{others:?}");
    }

    #[test]
    fn which_group_is_taken_over() {
        let host = |text: &str| Some(text.parse().expect("an address"));
        let (one, both) = (config("backup", "10.0.0.2", "10.0.0.1"), config("both", "10.0.0.2", "10.0.0.1"));
        let taken = |config: &Config, host| with(config, |plan| plan.taken_over(host));
        assert_eq!(taken(&one, None), Ok(GroupId(0)));
        assert_eq!(taken(&one, host("10.0.0.1")), Ok(GroupId(0)));
        assert!(matches!(taken(&one, host("10.0.0.9")), Err(NoPair::UnknownHost(_))));
        assert_eq!(taken(&both, host("10.0.0.1")), Ok(GroupId(0)));
        assert_eq!(taken(&both, host("10.0.0.2")), Ok(GroupId(1)));
        assert!(matches!(taken(&both, None), Err(NoPair::WhichHost(_))));
    }
}
