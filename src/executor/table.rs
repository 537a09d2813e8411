//! The forwarding table: everything a data path must know to forward, immutable, replaced as a whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::message::SorrySite;
use crate::model::{
    AccessLogFormat, AccessLogId, AdministrativeState, AllDown, Balance, Compat, Destination, ForwardingMethod, Health,
    Name, Port, PortId, PortKey, ProxiedServer, Redirect, Route, Rule, RuleType, Server, ServerId, ServerKey, Standing,
    Weight,
};
use crate::tls::{ServerLink, TlsFront};

use super::affinity::Slot;
use super::cookies::CookieKey;
use super::group::{self, GroupIndex, GroupTable};
use super::picker::Picker;
use super::{AffinityTable, PortCounters, Ring, ServerCounters};

/// All ports of this dispatcher.
#[derive(Clone, Debug, Default)]
pub struct ForwardingTable {
    /// One more than the table before.
    generation: u64,
    /// At the place of its [`PortId`]; a port that was removed leaves a gap.
    ports: Vec<Option<Arc<PortTable>>>,
}

impl ForwardingTable {
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn port(&self, id: PortId) -> Option<&Arc<PortTable>> {
        self.ports.get(id.0 as usize)?.as_ref()
    }

    pub fn ports(&self) -> impl Iterator<Item = &Arc<PortTable>> {
        self.ports.iter().flatten()
    }

    /// Ports whose packets are forwarded as they are, to the servers' MAC addresses.
    pub fn mac_ports(&self) -> impl Iterator<Item = &Arc<PortTable>> {
        self.ports().filter(|port| port.settings.method == ForwardingMethod::Mac && !port.settings.monitor)
    }

    /// The next table: these ports replaced or added, those removed.
    #[must_use]
    pub fn with(&self, changed: impl IntoIterator<Item = PortTable>, removed: &[PortId]) -> Self {
        let mut next = Self { generation: self.generation + 1, ports: self.ports.clone() };
        for port in changed {
            let place = port.id.0 as usize;
            if next.ports.len() <= place {
                next.ports.resize(place + 1, None);
            }
            if let Some(slot) = next.ports.get_mut(place) {
                *slot = Some(Arc::new(port));
            }
        }
        for id in removed {
            if let Some(slot) = next.ports.get_mut(id.0 as usize) {
                *slot = None;
            }
        }
        next
    }
}

/// The place of a server on its port within one table.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerIndex(pub u16);

/// One port as the data paths see it.
#[derive(Debug)]
pub struct PortTable {
    pub id: PortId,
    pub key: PortKey,
    /// Where clients come in.
    pub listen: SocketAddr,
    /// The port's settings as configured.
    pub settings: Arc<Port>,
    pub servers: Box<[ServerEntry]>,
    pub rules: Box<[RuleEntry]>,
    pub affinity: Option<Affinity>,
    pub sorry: Arc<SorrySite>,
    /// What clients are spoken to with inside TLS. `None` although the settings ask for it: nothing could be made of them.
    pub tls: Option<Arc<TlsFront>>,
    /// Where each request or connection leaves a line, and how.
    pub accesslog: Option<(AccessLogId, AccessLogFormat)>,
    pub counters: Arc<PortCounters>,
    /// The port itself, then its groups.
    pub(super) groups: Box<[GroupTable]>,
    pub routes: Box<[RouteEntry]>,
    by_name: HashMap<u64, ServerIndex>,
}

/// How a port remembers its clients' servers.
#[derive(Clone, Debug)]
pub struct Affinity {
    pub(super) slot: Slot,
    pub(super) table: Arc<AffinityTable>,
}

/// One server as the data paths see it.
#[derive(Debug)]
pub struct ServerEntry {
    pub id: ServerId,
    pub name: Name,
    /// The hash by which affinity records and partners know it.
    pub name_hash: u64,
    /// `None` while its host name has no address.
    pub address: Option<SocketAddr>,
    pub weight: Weight,
    pub state: AdministrativeState,
    pub health: Health,
    pub takes: Takes,
    /// See [`Server::sticky`].
    pub sticky: bool,
    /// See [`ProxiedServer`].
    pub backup: bool,
    pub max_connections: u32,
    /// What matters seldom. Shared because it never changes while the server's settings stay.
    proxied: Arc<ProxiedServer>,
    /// What it is spoken to with inside TLS, where its settings ask for it.
    pub tls: Option<Arc<ServerLink>>,
    pub counters: Arc<ServerCounters>,
}

/// What a server may be given now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takes {
    /// New connections.
    New,
    /// Connections of clients with affinity to it: it is quiesced or of weight 0.
    Affinity,
    /// New connections although an advisor calls it down, because too many are called down (fail-open).
    FailOpen,
    /// Nothing.
    Nothing,
}

impl ServerEntry {
    pub fn proxied(&self) -> &ProxiedServer {
        &self.proxied
    }

    /// Whether it has as many requests as it may have.
    pub fn is_full(&self) -> bool {
        self.max_connections != 0 && self.counters.active() >= u64::from(self.max_connections)
    }

    /// The place in which operators' wish and measured state meet.
    fn takes(plan: &ServerPlan<'_>) -> Takes {
        match (plan.server.state, plan.standing) {
            _ if plan.address.is_none() => Takes::Nothing,
            (AdministrativeState::Down | AdministrativeState::QuiescedNow, _) | (_, Standing::Out) => Takes::Nothing,
            (AdministrativeState::Quiesced, _) => Takes::Affinity,
            (AdministrativeState::Up, _) if plan.weight == Weight::ZERO => Takes::Affinity,
            (AdministrativeState::Up, Standing::Usable) => Takes::New,
            (AdministrativeState::Up, Standing::FailOpen) => Takes::FailOpen,
        }
    }
}

/// One rule with its candidates worked out.
#[derive(Debug)]
pub struct RuleEntry {
    pub name: Name,
    pub kind: RuleType,
    pub priority: u32,
    /// The servers it names, whatever their state.
    pub servers: Box<[ServerIndex]>,
    /// How often it chose.
    pub hits: Arc<AtomicU64>,
    /// The usable ones.
    pub picker: Picker,
    /// See [`Rule::over_affinity`].
    pub over_affinity: bool,
    /// The only group that it is asked for.
    pub group: Option<GroupIndex>,
}

/// One route with its group looked up.
#[derive(Debug)]
pub struct RouteEntry {
    settings: Arc<Port>,
    place: usize,
    pub target: RouteTarget,
}

/// Where a route leads.
#[derive(Debug)]
pub enum RouteTarget {
    Group(GroupIndex),
    Redirect(Redirect),
}

impl RouteEntry {
    pub fn settings(&self) -> &Route {
        // Made from this very list and place.
        #[expect(clippy::indexing_slicing, reason = "the place was counted in this list, which never changes")]
        &self.settings.routes[self.place]
    }
}

impl RuleEntry {
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The usable ones, in turn.
    pub fn ring(&self) -> &Ring {
        &self.picker.ring
    }
}

/// What a port's table is made from.
pub struct PortPlan<'a> {
    pub id: PortId,
    pub key: PortKey,
    pub address: IpAddr,
    pub settings: &'a Arc<Port>,
    /// In the order of the settings' servers.
    pub servers: Vec<ServerPlan<'a>>,
    /// The id of the port whose affinity records are used: its own or its cross port's.
    pub affinity_group: PortId,
    pub affinity: &'a Arc<AffinityTable>,
    pub sorry: &'a Arc<SorrySite>,
    /// What was made of the settings' certificates.
    pub tls: Option<Arc<TlsFront>>,
    /// The file that the settings name.
    pub accesslog: Option<AccessLogId>,
    pub counters: &'a Arc<PortCounters>,
    /// What values of our own cookies are made with.
    pub cookie_key: &'a CookieKey,
    /// The table that this one takes the place of: cursors and hit counters go on.
    pub previous: Option<&'a PortTable>,
}

/// What a server's entry is made from.
pub struct ServerPlan<'a> {
    pub id: ServerId,
    pub server: &'a Server,
    pub address: Option<IpAddr>,
    /// The weight to use while the server takes new connections.
    pub weight: Weight,
    pub health: Health,
    pub standing: Standing,
    pub counters: &'a Arc<ServerCounters>,
    /// What was made of its settings.
    pub tls: Option<Arc<ServerLink>>,
}

impl PortTable {
    /// What operators call a server of this port.
    pub fn server_key(&self, server: &ServerEntry) -> ServerKey {
        ServerKey { port: self.key.clone(), server: server.name.clone() }
    }

    /// Works everything out that can be known before a connection comes.
    pub fn new(plan: PortPlan<'_>) -> Self {
        let servers: Box<[ServerEntry]> = plan.servers.iter().map(server_entry).collect();
        let by_name: HashMap<u64, ServerIndex> =
            servers.iter().zip(0..).map(|(server, index)| (server.name_hash, ServerIndex(index))).collect();
        let groups = group::groups(&plan, &servers, &by_name);
        let rules = plan.settings.rules.iter().map(|rule| rule_entry(rule, &servers, &groups, &by_name, plan.previous));
        let rules = rules.collect();
        let routes = (0..plan.settings.routes.len()).filter_map(|place| route_entry(&plan, place, &groups)).collect();
        Self {
            id: plan.id,
            key: plan.key,
            listen: SocketAddr::new(plan.address, plan.settings.number.get()),
            settings: Arc::clone(plan.settings),
            rules,
            affinity: affinity(plan.settings, plan.affinity_group, plan.affinity),
            sorry: Arc::clone(plan.sorry),
            tls: plan.tls,
            accesslog: plan.accesslog.zip(plan.settings.accesslog.as_ref().map(|log| log.format)),
            counters: Arc::clone(plan.counters),
            groups,
            routes,
            by_name,
            servers,
        }
    }

    /// Whom round robin chooses from where no rule decides, as things are: those that are usable, else those that fail-open
    /// brings back, else, where the port spreads, all that the operator has not taken out.
    pub fn otherwise(&self) -> &Ring {
        let spreads = self.settings.all_down == AllDown::Spread;
        let port = self.port_group();
        let candidates = [&port.all.ring, &port.fail_open];
        let found = candidates.into_iter().find(|ring| !ring.is_empty());
        found.unwrap_or(if spreads { &port.spread } else { &port.all.ring })
    }

    /// The port itself as a group: the servers that belong to no other.
    pub fn port_group(&self) -> &GroupTable {
        #[expect(clippy::indexing_slicing, reason = "the port itself is always the first of its groups")]
        &self.groups[0]
    }

    pub fn group(&self, index: GroupIndex) -> Option<&GroupTable> {
        self.groups.get(usize::from(index.0))
    }

    /// The group; the port itself where this table has no such group.
    pub fn group_or_port(&self, index: GroupIndex) -> &GroupTable {
        self.group(index).unwrap_or_else(|| self.port_group())
    }

    /// The port itself and its groups.
    pub fn groups(&self) -> &[GroupTable] {
        &self.groups
    }

    /// The group of this name, by its hash; the port itself where it is gone.
    pub fn group_by_hash(&self, hash: u64) -> GroupIndex {
        let place = self.groups.iter().position(|group| group.name_hash == hash);
        GroupIndex(place.unwrap_or(0) as u16)
    }

    /// Whether the server may be left alone for its failures.
    pub fn may_be_left(&self, group: GroupIndex, server: ServerIndex, now: Instant) -> bool {
        self.group(group).is_some_and(|group| group::may_be_left(group, &self.servers, server, now))
    }

    /// Whether a request that waits in this group's line could find room just now. True too where it takes more than a look at
    /// the servers to know: rules may lead out of the group, and what is called down may be used all the same.
    pub fn may_have_room(&self, group: GroupIndex, now: Instant) -> bool {
        let Some(group) = self.group(group).filter(|_| self.rules.is_empty()) else { return true };
        let members = || group.members.iter().filter_map(|&index| self.server(index));
        let takes = |server: &&ServerEntry| matches!(server.takes, Takes::New | Takes::Affinity);
        members().all(|server| !takes(&server))
            || members().filter(takes).any(|server| !server.is_full() && server.counters.mark.allows(now))
    }

    /// Whose affinity records these are, when clients stay with their servers.
    pub fn affinity_group(&self) -> Option<PortId> {
        self.affinity.as_ref().map(|affinity| affinity.slot.group)
    }

    pub fn server(&self, index: ServerIndex) -> Option<&ServerEntry> {
        self.servers.get(usize::from(index.0))
    }

    pub(super) fn server_by_hash(&self, hash: u64) -> Option<ServerIndex> {
        self.by_name.get(&hash).copied()
    }

    /// Forgets which clients belong to this server.
    pub fn forget_affinity(&self, server: &ServerEntry) {
        if let Some(affinity) = &self.affinity {
            affinity.table.forget_server(affinity.slot.group, server.name_hash);
        }
    }
}

fn server_entry(plan: &ServerPlan<'_>) -> ServerEntry {
    ServerEntry {
        id: plan.id,
        name: plan.server.name.clone(),
        name_hash: name_hash(&plan.server.name),
        address: plan.address.map(|address| SocketAddr::new(address, plan.server.mapport.get())),
        weight: plan.weight,
        state: plan.server.state,
        health: plan.health.clone(),
        takes: ServerEntry::takes(plan),
        sticky: plan.server.sticky,
        proxied: Arc::new(plan.server.proxied.clone()),
        backup: plan.server.proxied.backup,
        max_connections: plan.server.proxied.max_connections,
        counters: Arc::clone(plan.counters),
        tls: plan.tls.clone(),
    }
}

fn rule_entry(
    rule: &Rule,
    servers: &[ServerEntry],
    groups: &[GroupTable],
    by_name: &HashMap<u64, ServerIndex>,
    previous: Option<&PortTable>,
) -> RuleEntry {
    let members: Box<[ServerIndex]> =
        rule.servers.iter().filter_map(|name| by_name.get(&name_hash(name)).copied()).collect();
    let before = previous.and_then(|table| table.rules.iter().find(|before| before.name == rule.name));
    let cursor = before.map(|rule| Arc::clone(rule.picker.ring.cursor())).unwrap_or_default();
    let wheel = before.map(|rule| rule.picker.wheel()).unwrap_or_default();
    let hash = rule.group.as_ref().map_or(0, name_hash);
    let group = groups.iter().position(|group| group.name_hash == hash).unwrap_or(0);
    let way = groups
        .get(group)
        .map_or((Balance::RoundRobin, Compat::Off), |group| (group.policy.balance, group.policy.compat));
    RuleEntry {
        name: rule.name.clone(),
        kind: rule.kind.clone(),
        priority: rule.priority,
        hits: before.map(|rule| Arc::clone(&rule.hits)).unwrap_or_default(),
        picker: Picker::new(way, &candidates(servers, &members), &members, servers, (cursor, &wheel)),
        servers: members,
        over_affinity: rule.over_affinity,
        group: rule.group.as_ref().map(|_| GroupIndex(group as u16)),
    }
}

fn route_entry(plan: &PortPlan<'_>, place: usize, groups: &[GroupTable]) -> Option<RouteEntry> {
    let route = plan.settings.routes.get(place)?;
    let target = match &route.to {
        Destination::Group(name) => {
            let hash = name.as_ref().map_or(0, name_hash);
            RouteTarget::Group(GroupIndex(groups.iter().position(|group| group.name_hash == hash)? as u16))
        }
        Destination::Redirect(redirect) => RouteTarget::Redirect(redirect.clone()),
    };
    Some(RouteEntry { settings: Arc::clone(plan.settings), place, target })
}

fn affinity(settings: &Port, group: PortId, table: &Arc<AffinityTable>) -> Option<Affinity> {
    let slot = Slot { group, application: 0, mask: settings.stickymask, stickytime: settings.stickytime };
    (!settings.stickytime.is_zero()).then(|| Affinity { slot, table: Arc::clone(table) })
}

/// Those that take new connections; the fail-open ones come in only beside at least one of them, so that a rule whose
/// servers are all down still yields to the sorry rule after it.
pub(super) fn candidates(servers: &[ServerEntry], members: &[ServerIndex]) -> Vec<(ServerIndex, Weight)> {
    let usable = weights(servers, members, |server| server.takes == Takes::New);
    if usable.is_empty() {
        return usable;
    }
    weights(servers, members, |server| matches!(server.takes, Takes::New | Takes::FailOpen))
}

pub(super) fn weights(
    servers: &[ServerEntry],
    members: &[ServerIndex],
    wanted: impl Fn(&ServerEntry) -> bool,
) -> Vec<(ServerIndex, Weight)> {
    let entries = members.iter().filter_map(|&index| Some((index, servers.get(usize::from(index.0))?)));
    entries.filter(|(_, server)| wanted(server)).map(|(index, server)| (index, server.weight)).collect()
}

/// IBM spreads over the servers that advisors call down, because one may be back already; what the operator took
/// out stays out.
pub(super) fn is_spread_over(server: &ServerEntry) -> bool {
    server.state == AdministrativeState::Up && server.address.is_some()
}

/// [`fnv1a`] of the name: the same on every machine and in every version, because partners exchange it.
pub fn name_hash(name: &Name) -> u64 {
    fnv1a(name.as_str())
}

/// FNV-1a of 64 bits: short and the same everywhere, for what is kept or sent; not for what an adversary chooses.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
