//! Applications that share a port: their servers, and how those share the load.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Compat, Name, Policy, Weight};

use super::cookies::Sessions;
use super::picker::Picker;
use super::queue::Queue;
use super::ring::Cursor;
use super::table::{PortPlan, ServerEntry, Takes, candidates, is_spread_over, weights};
use super::{Ring, ServerIndex, name_hash};

/// The place of a group on its port within one table.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupIndex(pub u16);

impl GroupIndex {
    /// The port itself: the servers that belong to no group.
    pub const PORT: Self = Self(0);
}

/// One group of servers as the data paths see it. The first of a port is the port itself.
#[derive(Debug)]
pub struct GroupTable {
    /// `None`: the port itself.
    pub name: Option<Name>,
    /// By which affinity records know it; 0 for the port itself.
    pub name_hash: u64,
    pub policy: Arc<Policy>,
    /// Whatever their state.
    pub members: Box<[ServerIndex]>,
    /// Requests that wait for one of its servers. It outlives tables.
    pub queue: Arc<Queue>,
    /// The choice where no rule decides.
    pub(super) all: Picker,
    /// In the order in which they stand in while nobody of `all` is usable.
    pub(super) backups: Box<[ServerIndex]>,
    /// Those that advisors call down and fail-open brings back, for when nobody else is left.
    pub(super) fail_open: Ring,
    /// Everybody who is not administratively out, for `all-down spread`.
    pub(super) spread: Ring,
    pub(super) sessions: Option<Sessions>,
}

impl GroupTable {
    /// Clients' cookies that name one of its servers.
    pub fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }

    pub fn has(&self, server: ServerIndex) -> bool {
        self.members.binary_search(&server).is_ok()
    }

    /// The usable ones in turn.
    pub fn ring(&self) -> &Ring {
        &self.all.ring
    }
}

/// The port itself and its groups, in this order.
pub(super) fn groups(
    plan: &PortPlan<'_>,
    servers: &[ServerEntry],
    by_name: &HashMap<u64, ServerIndex>,
) -> Box<[GroupTable]> {
    let settings = plan.settings;
    let grouped: Vec<ServerIndex> = settings
        .groups
        .iter()
        .flat_map(|group| &group.servers)
        .filter_map(|name| by_name.get(&name_hash(name)).copied())
        .collect();
    let everybody = (0..servers.len() as u16).map(ServerIndex);
    let own: Vec<ServerIndex> = everybody.filter(|index| !grouped.contains(index)).collect();
    let port = group_table(plan, None, (Arc::new(settings.policy.clone()), own), servers);
    let groups = settings.groups.iter().map(|group| {
        let mut members: Vec<_> =
            group.servers.iter().filter_map(|name| by_name.get(&name_hash(name)).copied()).collect();
        // The order of the port's servers is the order of backups, whatever order the group names them in.
        members.sort_unstable();
        group_table(plan, Some(&group.name), (Arc::new(group.policy.clone()), members), servers)
    });
    std::iter::once(port).chain(groups).collect()
}

fn group_table(
    plan: &PortPlan<'_>,
    name: Option<&Name>,
    (policy, members): (Arc<Policy>, Vec<ServerIndex>),
    servers: &[ServerEntry],
) -> GroupTable {
    let hash = name.map_or(0, name_hash);
    let before = plan.previous.and_then(|table| table.groups.iter().find(|group| group.name_hash == hash));
    let cursor: Cursor = before.map(|group| Arc::clone(group.all.ring.cursor())).unwrap_or_default();
    let wheel = before.map(|group| group.all.wheel()).unwrap_or_default();
    let is_backup = |index: &ServerIndex| servers.get(usize::from(index.0)).is_some_and(|server| server.backup);
    let (backups, primaries): (Vec<_>, Vec<_>) = members.iter().copied().partition(is_backup);
    let usable_backups = backups
        .iter()
        .copied()
        .filter(|index| servers.get(usize::from(index.0)).is_some_and(|server| server.takes == Takes::New));
    GroupTable {
        name: name.cloned(),
        name_hash: hash,
        all: Picker::new(
            (policy.balance, policy.compat),
            &candidates(servers, &primaries),
            &primaries,
            servers,
            (Arc::clone(&cursor), &wheel),
        ),
        backups: usable_backups.collect(),
        fail_open: Ring::new(
            &weights(servers, &members, |server| server.takes == Takes::FailOpen),
            Arc::clone(&cursor),
        ),
        spread: Ring::new(&weights(servers, &members, is_spread_over), cursor),
        queue: before.map(|group| Arc::clone(&group.queue)).unwrap_or_default(),
        sessions: Sessions::new(plan, name, &policy, &members, servers),
        members: members.into(),
        policy,
    }
}

/// Whether the failures of a server may make it be left alone: only while enough of its group are left. The plug-in's own
/// bound is that a group of one server is never without it.
pub(super) fn may_be_left(
    group: &GroupTable,
    servers: &[ServerEntry],
    server: ServerIndex,
    now: std::time::Instant,
) -> bool {
    let takes_new = |index: &&ServerIndex| {
        servers
            .get(usize::from(index.0))
            .is_some_and(|server| server.takes == Takes::New && server.weight > Weight::ZERO)
    };
    if group.policy.compat == Compat::Plugin {
        return group.members.len() > 1;
    }
    let usable = group.members.iter().filter(takes_new).count();
    let others = group.members.iter().filter(takes_new).filter(|index| {
        **index != server && servers.get(usize::from(index.0)).is_some_and(|other| other.counters.mark.allows(now))
    });
    let left = others.count();
    left > 0 && left * 100 >= usable * usize::from(group.policy.eject_floor)
}
