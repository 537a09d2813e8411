//! `NAME PORT` and `NAME CLUSTER:PORT`: which advisors a command means.

use std::fmt;

use super::Refusal;
use crate::config::fault::{listed, quoted};
use crate::config::object::{Key, Label, Object, Path};
use crate::config::operand::{Operand, Part, is_parted, numbers};
use crate::config::schema::Kind;
use crate::model::{AdvisorKind, Name, PortNumber};

/// Advisors of one name for ports of all clusters (`http 80+443`) or for ports of single clusters (`http shop:80`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) struct AdvisorOperand {
    kind: AdvisorKind,
    scope: Scope,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Scope {
    AllClusters(Part<PortNumber>),
    Clusters(Operand),
}

impl AdvisorOperand {
    pub fn new(kind: AdvisorKind, text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::misuse("an advisor's operand is PORT or CLUSTER:PORT, not empty"));
        }
        if is_parted(text) {
            return Ok(Self { kind, scope: Scope::Clusters(Operand::parse(text, 2)?) });
        }
        Ok(Self { kind, scope: Scope::AllClusters(numbers(text)?) })
    }

    pub fn one(kind: AdvisorKind, cluster: Option<&Name>, port: PortNumber) -> Option<Self> {
        let Some(cluster) = cluster else {
            return Some(Self { kind, scope: Scope::AllClusters(Part::These(vec![port])) });
        };
        let path = Path::of([Key::named(Kind::Cluster, cluster.clone()), Key::port(port)]);
        Operand::of(&path).map(|operand| Self { kind, scope: Scope::Clusters(operand) })
    }

    /// The advisors to be started: `:80` is all clusters, as `80` is.
    pub fn vacant(&self, root: &Object) -> Result<Vec<Path>, Refusal> {
        let (clusters, ports) = match &self.scope {
            Scope::AllClusters(ports) => (&Part::Any, ports),
            Scope::Clusters(operand) => (&operand.clusters, &operand.ports),
        };
        let Part::These(ports) = ports else {
            return Err(Refusal::misuse("an advisor is started for a port: PORT or CLUSTER:PORT"));
        };
        let clusters: Vec<Option<Name>> = match clusters {
            Part::Any => vec![None],
            Part::These(names) => names.iter().cloned().map(Some).collect(),
        };
        let key = |cluster: &Option<Name>, port: &PortNumber| Key::advisor(self.kind, cluster.clone(), *port);
        let paths: Vec<Path> =
            clusters.iter().flat_map(|cluster| ports.iter().map(move |port| Path::of([key(cluster, port)]))).collect();
        match paths.iter().find(|path| root.at(path).is_some()) {
            Some(path) => Err(Refusal::refused(format!("advisor {path} is already started"))),
            None => Ok(paths),
        }
    }

    /// The advisors that are there and meant.
    pub fn select(&self, root: &Object) -> Result<Vec<Path>, Refusal> {
        let keys: Vec<&Key> = root.children().map(|(key, _)| key).filter(|key| key.kind == Kind::Advisor).collect();
        let meant = keys.iter().filter(|key| self.means(&key.label));
        let found: Vec<Path> = meant.map(|key| Path::of([(*key).clone()])).collect();
        if found.is_empty() {
            let known: Vec<String> = keys.iter().map(|key| Path::of([(*key).clone()]).to_string()).collect();
            let there = match known.len() {
                0 => "there is none at all".to_owned(),
                1 => format!("there is {}", listed(known.iter().map(String::as_str))),
                _ => format!("there are {}", listed(known.iter().map(String::as_str))),
            };
            return Err(Refusal::refused(format!("no advisor {}; {there}", quoted(&self.to_string()))));
        }
        Ok(found)
    }

    fn means(&self, label: &Label) -> bool {
        let Label::Advisor(kind, cluster, port) = label else { return false };
        let scope_matches = match (&self.scope, cluster) {
            (Scope::AllClusters(ports), None) => ports.matches(port),
            (Scope::Clusters(operand), Some(cluster)) => operand.matches(cluster, Some(*port), None),
            (Scope::Clusters(operand), None) => operand.clusters == Part::Any && operand.ports.matches(port),
            (Scope::AllClusters(_), Some(_)) => false,
        };
        *kind == self.kind && scope_matches
    }
}

impl fmt::Display for AdvisorOperand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::AllClusters(ports) => write!(f, "{} {ports}", self.kind.word()),
            Scope::Clusters(operand) => write!(f, "{} {operand}", self.kind.word()),
        }
    }
}
