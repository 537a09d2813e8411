//! Which objects an operand means, in the order of the configuration.

use std::fmt::Display;

use crate::config::{Operand, Part, Refusal};
use crate::executor::{PortTable, RuleEntry, ServerEntry, Takes};
use crate::model::{Cluster, Name, PortKey, PortNumber, Rule};

use super::super::state::{PortState, ServerState};
use super::Look;

/// One port with all that is known of it.
#[derive(Clone, Copy)]
pub(in crate::dispatcher) struct PortView<'a> {
    pub cluster: &'a Cluster,
    pub state: &'a PortState,
    pub table: &'a PortTable,
}

/// One server with all that is known of it.
#[derive(Clone, Copy)]
pub(super) struct ServerView<'a> {
    pub port: PortView<'a>,
    pub state: &'a ServerState,
    pub entry: &'a ServerEntry,
}

/// One rule with all that is known of it.
#[derive(Clone, Copy)]
pub(super) struct RuleView<'a> {
    pub port: PortView<'a>,
    pub rule: &'a Rule,
    pub entry: &'a RuleEntry,
}

impl ServerView<'_> {
    /// Whether it may be chosen now.
    pub fn is_usable(&self) -> bool {
        is_usable(self.entry)
    }

    /// The application that it carries.
    pub fn group(&self) -> Option<&Name> {
        let groups = &self.port.state.settings.groups;
        groups.iter().find(|group| group.servers.contains(&self.state.server.name)).map(|group| &group.name)
    }
}

/// Whether a server may be chosen now for a client that was never there.
pub(super) fn is_usable(server: &ServerEntry) -> bool {
    matches!(server.takes, Takes::New | Takes::FailOpen)
}

impl<'a> Look<'a> {
    pub(super) fn all_clusters(&self) -> impl Iterator<Item = &'a Cluster> + use<'a> {
        self.heart.site.config.clusters.iter()
    }

    pub fn all_ports(&self) -> impl Iterator<Item = PortView<'a>> + '_ {
        self.all_clusters().flat_map(|cluster| self.ports_of(cluster))
    }

    pub(super) fn ports_of(&self, cluster: &'a Cluster) -> impl Iterator<Item = PortView<'a>> + '_ {
        cluster.ports.iter().filter_map(move |port| {
            self.port_view(cluster, &PortKey { cluster: cluster.name.clone(), port: port.number })
        })
    }

    /// The port that takes connections to this number: of this name, or else the narrowest one around it.
    pub fn port_around(&self, key: &PortKey) -> Option<PortView<'a>> {
        let cluster = self.all_clusters().find(|cluster| cluster.name == key.cluster)?;
        let ports = cluster.ports.iter().filter(|port| port.ports().contains(&key.port.get()));
        let narrowest = ports.min_by_key(|port| port.ports().len())?;
        self.port_view(cluster, &PortKey { cluster: key.cluster.clone(), port: narrowest.number })
    }

    fn port_view(&self, cluster: &'a Cluster, key: &PortKey) -> Option<PortView<'a>> {
        let id = self.heart.identities.known_port(key)?;
        Some(PortView { cluster, state: self.heart.ports.get(&id)?, table: self.heart.table.port(id)? })
    }

    pub(super) fn servers_of(&self, port: PortView<'a>) -> impl Iterator<Item = ServerView<'a>> + '_ {
        let entries = port.state.servers.iter().zip(&port.table.servers);
        entries.filter_map(move |(id, entry)| Some(ServerView { port, state: self.heart.servers.get(id)?, entry }))
    }

    pub(super) fn clusters(&self, operand: &Operand) -> Result<Vec<&'a Cluster>, Refusal> {
        let all = self.all_clusters().map(|cluster| (cluster.name.clone(), cluster)).collect();
        pick(vec![Family { parent: String::new(), children: all }], &operand.clusters, "cluster", false)
    }

    pub(super) fn ports(&self, operand: &Operand) -> Result<Vec<PortView<'a>>, Refusal> {
        let families = self.clusters(operand)?.into_iter().map(|cluster| Family {
            parent: format!("cluster {}", cluster.name),
            children: self.ports_of(cluster).map(|port| (port.state.key.port, port)).collect::<Vec<(PortNumber, _)>>(),
        });
        pick(families.collect(), &operand.ports, "port", operand.clusters == Part::Any)
    }

    pub(super) fn servers(&self, operand: &Operand) -> Result<Vec<ServerView<'a>>, Refusal> {
        self.below_ports(operand, "server", |port| {
            self.servers_of(port).map(|server| (server.entry.name.clone(), server)).collect()
        })
    }

    pub(super) fn rules(&self, operand: &Operand) -> Result<Vec<RuleView<'a>>, Refusal> {
        self.below_ports(operand, "rule", |port| {
            let rules = port.state.settings.rules.iter().zip(&port.table.rules);
            rules.map(|(rule, entry)| (rule.name.clone(), RuleView { port, rule, entry })).collect()
        })
    }

    fn below_ports<V: Copy>(
        &self,
        operand: &Operand,
        kind: &str,
        children: impl Fn(PortView<'a>) -> Vec<(Name, V)>,
    ) -> Result<Vec<V>, Refusal> {
        let families = self
            .ports(operand)?
            .into_iter()
            .map(|port| Family { parent: format!("port {}", port.state.key), children: children(port) });
        let below_wildcard = operand.clusters == Part::Any || operand.ports == Part::Any;
        pick(families.collect(), &operand.third, kind, below_wildcard)
    }
}

/// A parent with the objects of one kind in it.
struct Family<K, V> {
    parent: String,
    children: Vec<(K, V)>,
}

impl<K: PartialEq, V> Family<K, V> {
    fn has(&self, wanted: &K) -> bool {
        self.children.iter().any(|(key, _)| key == wanted)
    }
}

/// The children that are meant. What is named must be in each parent, below a wildcard in one at least.
fn pick<K: PartialEq + Display, V: Copy>(
    families: Vec<Family<K, V>>,
    part: &Part<K>,
    kind: &str,
    below_wildcard: bool,
) -> Result<Vec<V>, Refusal> {
    if let Part::These(wanted) = part {
        for key in wanted {
            let lacking: Vec<_> = families.iter().filter(|family| !family.has(key)).collect();
            if let Some(first) = lacking.first()
                && (!below_wildcard || lacking.len() == families.len())
            {
                let place = if below_wildcard { "" } else { first.parent.as_str() };
                let there = if below_wildcard { families.iter().collect() } else { vec![*first] };
                return Err(absent(place, kind, key, &there));
            }
        }
    }
    let children = families.iter().flat_map(|family| &family.children);
    let chosen: Vec<V> = children.filter(|(key, _)| part.matches(key)).map(|(_, value)| *value).collect();
    if chosen.is_empty() {
        return Err(Refusal::Refused(format!("there is no {kind}")));
    }
    Ok(chosen)
}

fn absent<K: Display, V>(place: &str, kind: &str, wanted: &K, families: &[&Family<K, V>]) -> Refusal {
    let mut there: Vec<String> = Vec::new();
    for (key, _) in families.iter().flat_map(|family| &family.children) {
        let text = key.to_string();
        if !there.contains(&text) {
            there.push(text);
        }
        if there.len() > MOST_LOOKED_AT {
            break;
        }
    }
    let what = match place {
        "" => format!("there is no {kind} `{wanted}`"),
        place => format!("{place} has no {kind} `{wanted}`"),
    };
    Refusal::Refused(format!("{what}; {}", proposal(&wanted.to_string(), &there)))
}

/// What was meant, or what there is instead.
pub(in crate::dispatcher) fn proposal(wanted: &str, there: &[String]) -> String {
    let distance = |word: &&String| strsim::damerau_levenshtein(wanted, word);
    let near = there.iter().min_by_key(distance).filter(|word| distance(word) <= 1.max(word.len() / 3));
    match (near, there) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "there is none at all".to_owned(),
        (None, [only]) => format!("there is `{only}`"),
        (None, several) => format!("there are {}", listed(several)),
    }
}

/// `a`, `b` and `c`; the first few of many.
fn listed(words: &[String]) -> String {
    let shown: Vec<String> = words.iter().take(MOST_LISTED).map(|word| format!("`{word}`")).collect();
    match (words.len() - shown.len(), shown.split_last()) {
        (0, Some((last, others))) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        (0, _) => shown.join(", "),
        (more, _) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `one` thing or several `many`, with their number.
pub(in crate::dispatcher) fn either(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Names in one sentence; nobody reads more.
const MOST_LISTED: usize = 12;
/// Names among which the meant one is looked for: all servers of a port, and enough of a large site.
const MOST_LOOKED_AT: usize = 4096;
