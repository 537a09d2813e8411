//! From the forwarding table to a plan.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::executor::{ForwardingTable, PortTable, Ring, RuleEntry, ServerEntry, ServerIndex, Takes, measured};
use crate::model::{AdministrativeState, Balance, OnDown, PortId, RuleType, SelectionAlgorithm, ServerId, Unserved};

use super::plan::{Choice, Clients, Plan, RulePlan, ServerFlags, ServerPlan, ServicePlan, Sticky};
use crate::executor::maglev::{self, Candidate};

/// How long a server may be down before its connections count as ended (`ondown purge`): a flap is ridden out.
pub const HOLD: Duration = Duration::from_secs(10);

/// Compiles tables; remembers since when servers are down, and what ports were compiled to.
#[derive(Debug, Default)]
pub struct Compiler {
    down: HashMap<ServerId, Instant>,
    /// The last plan's services. A change concerns one port most often, and the consistent hash of a port costs tens of
    /// microseconds (benches/scale.rs), so a port whose table is the same is not compiled again.
    compiled: HashMap<PortId, (Arc<PortTable>, Arc<ServicePlan>)>,
}

impl Compiler {
    /// What the table's `mac` ports amount to now. `hour` is the local hour, 0 to 23.
    ///
    /// Rules by time, active connections and connections per second are settled here: they hold until the next plan. The
    /// others keep their order. A true rule whose servers are all down is left out, as the decision would pass it over.
    pub fn compile(&mut self, table: &ForwardingTable, now: Instant, hour: u8) -> Plan {
        self.note_down(table, now);
        let before = std::mem::take(&mut self.compiled);
        for port in table.mac_ports() {
            let known = before.get(&port.id).filter(|(known, _)| Arc::ptr_eq(known, port) && stays(port));
            let service =
                known.map_or_else(|| Arc::new(self.service(table, port, now, hour)), |(_, plan)| Arc::clone(plan));
            self.compiled.insert(port.id, (Arc::clone(port), service));
        }
        let services = table.mac_ports().filter_map(|port| self.compiled.get(&port.id));
        Plan { services: services.map(|(_, service)| Arc::clone(service)).collect() }
    }

    /// When the plan changes by the mere passing of time: a hold that ends.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.down.values().map(|&since| since + HOLD).filter(|&due| due > now).min()
    }

    fn note_down(&mut self, table: &ForwardingTable, now: Instant) {
        let down: Vec<ServerId> = table
            .mac_ports()
            .flat_map(|port| port.servers.iter().filter(|server| server.health.is_down()).map(|server| server.id))
            .collect();
        self.down.retain(|server, _| down.contains(server));
        for server in down {
            self.down.entry(server).or_insert(now);
        }
    }

    fn service(&self, table: &ForwardingTable, port: &PortTable, now: Instant, hour: u8) -> ServicePlan {
        let settings = &port.settings;
        let packets = &settings.packets;
        let sticky = port.affinity_group().filter(|_| packets.selection != SelectionAlgorithm::Connection);
        let rules = rules(port, hour);
        ServicePlan {
            name: port.key.to_string(),
            address: port.listen.ip(),
            ports: settings.ports(),
            sticky: sticky.map(|group| Sticky {
                group: name_of(table, port, group),
                mask: settings.stickymask,
                time: settings.stickytime,
            }),
            unrecorded: packets.selection == SelectionAlgorithm::Affinity,
            hash: settings.policy.balance == Balance::Hash,
            pickup: packets.pickup,
            unserved_pass: packets.unserved == Unserved::Pass,
            resting: resting(port, &rules),
            rules,
            otherwise: choice(port, (0..port.servers.len()).map(|place| ServerIndex(place as u16)), port.otherwise()),
            servers: port.servers.iter().map(|server| self.server(port, server, now)).collect(),
        }
    }

    fn server(&self, port: &PortTable, server: &ServerEntry, now: Instant) -> ServerPlan {
        let settings = port.settings.servers.iter().find(|settings| settings.name == server.name);
        let out = server.state == AdministrativeState::Down;
        let held = self.down.get(&server.id).is_some_and(|&since| now.saturating_duration_since(since) >= HOLD);
        let flags = ServerFlags {
            affinity: matches!(server.takes, Takes::New | Takes::Affinity),
            down: out || server.health.is_down(),
            dead: out || (held && port.settings.ondown == OnDown::Purge),
            reset: port.settings.packets.reset,
            local: settings.is_some_and(|settings| settings.collocated),
            sticky_no: !server.sticky,
            forgotten: out,
        };
        ServerPlan {
            name: port.server_key(server).to_string(),
            address: server.address.map(|address| address.ip()),
            flags,
        }
    }
}

/// Whether the plan of this table depends on the hour or on load, so that it has to be compiled again every second.
pub fn depends_on_time(table: &ForwardingTable) -> bool {
    table.mac_ports().any(|port| has_timed_rules(port))
}

fn has_timed_rules(port: &PortTable) -> bool {
    port.rules.iter().any(|rule| !matches!(rule.kind, RuleType::True | RuleType::Ip(_)))
}

/// Whether the port's table alone says what its service is, at any time. What else counts, the name of the port that it shares
/// affinity with, never becomes another.
fn stays(port: &PortTable) -> bool {
    !has_timed_rules(port) && !port.servers.iter().any(|server| server.health.is_down())
}

fn name_of(table: &ForwardingTable, own: &PortTable, group: PortId) -> String {
    table.port(group).map_or_else(|| own.key.to_string(), |port| port.key.to_string())
}

/// The rules that may be true, up to the first that is true for everybody.
fn rules(port: &PortTable, hour: u8) -> Vec<RulePlan> {
    let mut plans = Vec::new();
    for rule in &port.rules {
        let clients = match clients_of(port, rule, hour) {
            Some(clients) if rule.servers.is_empty() || !rule.ring().is_empty() => clients,
            _ => continue,
        };
        plans.push(RulePlan {
            name: rule.name.to_string(),
            clients,
            choice: choice(port, rule.servers.iter().copied(), rule.ring()),
        });
        if clients == Clients::All {
            break;
        }
    }
    plans
}

fn resting(port: &PortTable, asked: &[RulePlan]) -> Vec<String> {
    let names = port.rules.iter().map(|rule| rule.name.to_string());
    names.filter(|name| asked.iter().all(|rule| rule.name != *name)).collect()
}

/// For whom the rule is true now; `None`: for nobody.
fn clients_of(port: &PortTable, rule: &RuleEntry, hour: u8) -> Option<Clients> {
    match rule.kind {
        RuleType::Content(_) => None,
        RuleType::True => Some(Clients::All),
        // Clients of a port have the family of its address.
        RuleType::Ip(range) => {
            (range.begin.is_ipv4() == port.listen.is_ipv4()).then_some(Clients::Between(range.begin, range.end))
        }
        RuleType::Time(range) => range.contains(hour).then_some(Clients::All),
        RuleType::Active { range, .. } | RuleType::Connection { range, .. } => {
            measured(port, rule).is_some_and(|value| range.contains(value)).then_some(Clients::All)
        }
    }
}

/// What to choose from: the servers in the ring's order, and the consistent hash over all that could be in it, so that the
/// table keeps its size when one of them goes down.
fn choice(port: &PortTable, members: impl Iterator<Item = ServerIndex>, ring: &Ring) -> Choice {
    let mut shares: HashMap<ServerIndex, u32> = members.map(|member| (member, 0)).collect();
    for &place in ring.places() {
        *shares.entry(place).or_default() += 1;
    }
    let candidates: Vec<Candidate> = shares
        .into_iter()
        .filter_map(|(index, weight)| {
            Some(Candidate { place: index.0, name_hash: port.server(index)?.name_hash, weight })
        })
        .collect();
    Choice { ring: ring.places().iter().map(|place| place.0).collect(), maglev: maglev::table(&candidates) }
}
