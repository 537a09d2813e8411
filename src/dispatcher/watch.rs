//! Hands the advisors their targets and draws the consequences of what they find.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::advisor::{HealthChange, ProbeId, ProbeOutcome, Target, applying};
use crate::manager::{PortVerdicts, Verdict};
use crate::model::{
    Advisor, DownReason, ForwardingMethod, Health, OnDown, PortId, PortKey, PortNumber, ProxyVersion, ServerId,
    Standing,
};

use super::state::{PortState, ServerState};
use super::{Action, Dispatcher, Notice};

impl Dispatcher {
    /// When the advisors are to be given new targets, if they are.
    pub(super) fn aim_at(&self) -> Option<Instant> {
        self.new_targets.then(|| self.aimed + AIM_AGAIN_AFTER)
    }

    pub(super) fn aim(&mut self, now: Instant) {
        if self.aim_at().is_some_and(|due| due <= now) {
            self.configure_advisors(now);
        }
    }

    /// Brings the advisors' targets in line with configuration and addresses. A server that nobody looks at any more is
    /// not held down by what was found long ago.
    pub(super) fn configure_advisors(&mut self, now: Instant) {
        self.new_targets = false;
        self.aimed = now;
        let targets: Vec<Target> = self.ports.values().flat_map(|port| self.targets_of(port)).collect();
        let changes = self.advisors.configure(targets, now);
        changes.into_iter().for_each(|change| self.take_health(change, now));
        let ports: Vec<PortId> = self.ports.keys().copied().collect();
        ports.into_iter().for_each(|port| self.judge(port, now));
        self.follow(now);
    }

    fn targets_of(&self, port: &PortState) -> Vec<Target> {
        let advisors = self.advisors_of(&port.key);
        // A name that is being looked up for the first time is not an unresolved server yet.
        let servers =
            port.servers.iter().filter_map(|id| self.servers.get(id)).filter(|server| !server.awaits_address());
        let sendproxy = port.settings.sendproxy;
        servers.flat_map(|server| advisors.iter().map(move |advisor| target(advisor, server, sendproxy))).collect()
    }

    /// The advisors that look at this port; one for the cluster's own port takes the place of the same for all clusters.
    pub(super) fn advisors_of(&self, port: &PortKey) -> Vec<&Advisor> {
        applying(&self.site.config.advisors, port)
    }

    pub(super) fn start_probes(&mut self, now: Instant) {
        let given_up = self.advisors.give_up(now);
        given_up.into_iter().for_each(|change| self.take_health(change, now));
        while let Some(order) = self.advisors.poll_probe(now) {
            self.actions.push_back(Action::Probe(order));
        }
    }

    pub(super) fn probe_finished(&mut self, probe: ProbeId, outcome: ProbeOutcome, now: Instant) {
        if let Some(change) = self.advisors.finished(probe, outcome, now) {
            self.take_health(change, now);
        }
    }

    fn take_health(&mut self, change: HealthChange, now: Instant) {
        let Some(server) = self.servers.get_mut(&change.server) else { return };
        server.advised = change.after;
        self.reconsider(change.server, now);
    }

    /// A server of packets that cannot be reached on its link is down, before any advisor has run out of patience.
    pub(super) fn hear_of_neighbours(&mut self, now: Instant) {
        let mac = |port: &&PortState| port.settings.method == ForwardingMethod::Mac;
        let servers: Vec<ServerId> = self.ports.values().filter(mac).flat_map(|port| port.servers.clone()).collect();
        for id in servers {
            let Some(server) = self.servers.get_mut(&id) else { continue };
            let why =
                server.address.filter(|_| !server.server.collocated).and_then(|address| self.unreached.get(&address));
            server.unreached = why.map(|why| DownReason::Unreachable(why.clone()));
            self.reconsider(id, now);
        }
    }

    /// What advisors and the neighbourhood say of a server, put together.
    fn reconsider(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let forsaken = server.forsaken.map(DownReason::Followed);
        let known = server.unreached.clone().or(forsaken);
        let after = known.map_or_else(|| server.advised.clone(), Health::Down);
        if after == server.health {
            return;
        }
        let before = std::mem::replace(&mut server.health, after);
        let another_reason = before.is_down() && server.health.is_down();
        if !another_reason {
            server.since = now;
        }
        let port = server.port;
        let comes_back = before.is_down() && !server.health.is_down();
        let notice = health_notice(server, &before);
        self.actions.extend(notice.map(Action::Notice));
        self.dirty.insert(port);
        self.judge(port, now);
        if comes_back {
            self.come_back(id, now);
        }
    }

    /// What the verdicts amount to once the velocity limit and fail-open have had their say.
    pub(super) fn judge(&mut self, id: PortId, now: Instant) {
        let Some(port) = self.ports.get(&id) else { return };
        let interval = self.advisors_of(&port.key).iter().map(|advisor| advisor.interval).max();
        let servers = port.servers.iter().filter_map(|id| self.servers.get(id));
        let servers = servers.map(|server| Verdict {
            server: server.id,
            state: server.server.state,
            health: server.health.clone(),
        });
        let verdicts = PortVerdicts { port: id, interval: interval.unwrap_or(NO_WINDOW), servers: servers.collect() };
        for change in self.verdicts.judge(&verdicts, now) {
            self.stand(change.server, change.after);
        }
        let has_changed = self.tell_all_down(id);
        self.alert(id);
        if has_changed {
            self.lead(id, now);
        }
    }

    /// Ports that follow this one are down as long as it has no usable server. No port follows itself by way of others,
    /// which the configuration sees to.
    fn lead(&mut self, id: PortId, now: Instant) {
        let Some(leader) = self.ports.get(&id) else { return };
        let (key, down) = (leader.key.clone(), leader.alerted);
        let follows = |port: &&PortState| port.key.cluster == key.cluster && port.settings.follows == Some(key.port);
        let followers: Vec<ServerId> =
            self.ports.values().filter(follows).flat_map(|port| port.servers.clone()).collect();
        for server in followers {
            self.forsake(server, down.then_some(key.port), now);
        }
    }

    fn forsake(&mut self, id: ServerId, by: Option<PortNumber>, now: Instant) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if std::mem::replace(&mut server.forsaken, by) != by {
            self.reconsider(id, now);
        }
    }

    /// After a change of configuration: who follows whom may be another.
    pub(super) fn follow(&mut self, now: Instant) {
        let down = |port: &PortState| {
            let followed = port.settings.follows?;
            let key = PortKey { cluster: port.key.cluster.clone(), port: followed };
            self.ports.values().any(|other| other.key == key && other.alerted).then_some(followed)
        };
        let states: Vec<(ServerId, Option<PortNumber>)> = self
            .ports
            .values()
            .flat_map(|port| port.servers.iter().map(|&server| (server, down(port))).collect::<Vec<_>>())
            .collect();
        for (server, by) in states {
            self.forsake(server, by, now);
        }
    }

    fn stand(&mut self, id: ServerId, standing: Standing) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.standing = standing;
        self.dirty.insert(server.port);
        let purge = self.ports.get(&server.port).is_some_and(|port| port.settings.ondown == OnDown::Purge);
        if standing == Standing::Out && purge && !self.cuts.contains(&id) {
            self.cuts.push(id);
        }
    }

    /// Verdicts that the velocity limit held back.
    pub(super) fn judge_due(&mut self, now: Instant) {
        self.verdicts.due(now).into_iter().for_each(|port| self.judge(port, now));
    }

    /// For the log and for `status`; scripts are another matter (`alerts`). Whether it has changed.
    fn tell_all_down(&mut self, id: PortId) -> bool {
        let Some(port) = self.ports.get_mut(&id) else { return false };
        let may_serve = |server: &ServerState| server.shown_weight() >= 0 || server.awaits_address();
        let mut servers = port.servers.iter().filter_map(|id| self.servers.get(id));
        let all_down = !port.servers.is_empty() && !servers.any(may_serve);
        if std::mem::replace(&mut port.alerted, all_down) == all_down {
            return false;
        }
        let notice = if all_down {
            Notice::alert(format!("port {}: all servers are down", port.key))
        } else {
            Notice::info(format!("port {}: a server is back", port.key))
        };
        self.note(notice);
        true
    }
}

/// New targets are worked out for all servers together, so answers of the resolver that come one by one (ten thousand after
/// a start, perhaps) are gathered for as long as nobody minds.
const AIM_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// For ports that no advisor looks at; nothing is called down there.
const NO_WINDOW: Duration = Duration::from_secs(7);

fn target(advisor: &Advisor, server: &ServerState, sendproxy: Option<ProxyVersion>) -> Target {
    Target {
        advisor: advisor.clone(),
        server: server.id,
        key: server.key.clone(),
        address: server.address.map(|address| SocketAddr::new(address, server.server.mapport.get())),
        sendproxy,
        request: server.server.advisorrequest.clone(),
        response: server.server.advisorresponse.clone(),
        host: server.server.host.to_string(),
    }
}

/// Each change of up and down is told once, with before, after and reason.
fn health_notice(server: &ServerState, before: &Health) -> Option<Notice> {
    match (before, &server.health) {
        (Health::Up | Health::Unknown, Health::Down(reason)) => {
            Some(Notice::warning(format!("server {}: {} -> down ({reason})", server.key, word(before))))
        }
        (Health::Down(reason), after @ (Health::Up | Health::Unknown)) => {
            Some(Notice::info(format!("server {}: down -> {} (was {reason})", server.key, word(after))))
        }
        _ => None,
    }
}

fn word(health: &Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down(_) => "down",
    }
}
