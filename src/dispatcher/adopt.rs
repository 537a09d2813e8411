//! Puts a plan in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::executor::PortCounters;
use crate::message::{ErrorReason, SorrySite};
use crate::model::{
    AdministrativeState, Cluster, Port, PortId, PortKey, PortTls, Proportions, Server, ServerId, ServerKey, ServerTls,
    SorryPage,
};
use crate::tls::{TlsBack, TlsFront};

use super::state::{PortState, ServerState};
use super::{Action, Dispatcher, Notice, Plan};

/// What a plan needed from outside.
#[derive(Debug, Default)]
pub struct Resources {
    /// The sorry pages, by their settings.
    pub sorry: HashMap<SorryPage, Arc<SorrySite>>,
    /// What ports speak TLS with, by their settings. One that is missing leaves its ports closed.
    pub fronts: HashMap<PortTls, Arc<TlsFront>>,
    /// What servers are spoken to with inside TLS, by their settings. One that is missing leaves its servers unreached.
    pub backs: HashMap<ServerTls, Arc<TlsBack>>,
}

impl Resources {
    /// These, and those too.
    pub fn and(mut self, others: Self) -> Self {
        // Named one by one, so that what is added to it is thought of here.
        let Self { sorry, fronts, backs } = others;
        self.sorry.extend(sorry);
        self.fronts.extend(fronts);
        self.backs.extend(backs);
        self
    }
}

/// What a plan changed.
#[derive(Debug, Default)]
struct Adoption {
    changed: Vec<PortId>,
    /// Advisors have other targets, or their verdicts count otherwise.
    probed_anew: bool,
}

impl Dispatcher {
    /// Puts the plan in force: one table with everything that changed, listeners for what is new, an end for what was
    /// taken out. Unchanged ports, their connections, health, affinity and counters do not notice.
    pub fn adopt(&mut self, plan: Plan, resources: &Resources, now: Instant) {
        self.generation += 1;
        let before = std::mem::replace(&mut self.site, plan.site).config;
        let config = &self.site.config;
        let rules_changed = before.advisors != config.advisors || before.manager != config.manager;
        self.verdicts.configure(&config.manager);
        self.affinity.set_capacity(config.executor.maxaffinity as usize);
        self.manager.configure(config.manager, now);
        self.take_sorry_pages(resources);
        self.tls.take(resources, &self.site);
        self.take_access_logs();
        let mut adoption = Adoption { probed_anew: rules_changed, ..Adoption::default() };
        self.adopt_ports(&mut adoption, now);
        self.plan_lookups();
        if adoption.probed_anew {
            self.configure_advisors(now);
        } else {
            adoption.changed.iter().for_each(|&port| self.judge(port, now));
        }
        self.hear_of_neighbours(now);
        self.publish();
        self.open_listeners();
        self.catch_up(now);
    }

    fn adopt_ports(&mut self, adoption: &mut Adoption, now: Instant) {
        let clusters = std::mem::take(&mut self.site.config.clusters);
        let before: BTreeSet<PortId> = self.ports.keys().copied().collect();
        let mut present = BTreeSet::new();
        for cluster in &clusters {
            let proportions = self.proportions(cluster);
            for port in &cluster.ports {
                present.insert(self.adopt_port(cluster, proportions, port, adoption, now));
            }
        }
        self.site.config.clusters = clusters;
        for gone in before.difference(&present) {
            adoption.probed_anew = true;
            self.remove_port(*gone);
        }
    }

    fn adopt_port(
        &mut self,
        cluster: &Cluster,
        proportions: Proportions,
        port: &Port,
        adoption: &mut Adoption,
        now: Instant,
    ) -> PortId {
        let key = PortKey { cluster: cluster.name.clone(), port: port.number };
        let id = self.identities.port(&key);
        let group_key = PortKey { cluster: cluster.name.clone(), port: port.crossport };
        let affinity_group = self.identities.port(&group_key);
        let listen = SocketAddr::new(cluster.address, port.number.get());
        let (sorry, tls) = (self.sorry_page(port), self.tls.of_port(port));
        if let Some(known) = self.ports.get_mut(&id) {
            known.proportions = proportions;
            // A command changes one port of perhaps thousands; the others must not cost more than this look.
            let same = known.listen == listen && known.affinity_group == affinity_group;
            if same && Arc::ptr_eq(&known.sorry, &sorry) && known.tls.is_same(&tls) && *known.settings == *port {
                return id;
            }
        }
        let servers = self.adopt_servers(id, &key, port, now);
        let known = self.ports.remove(&id);
        adoption.changed.push(id);
        adoption.probed_anew |= known.as_ref().is_none_or(|known| !are_probed_alike(&known.settings, port));
        if known.as_ref().is_some_and(|known| known.listen != listen) {
            self.actions.push_back(Action::Unlisten { port: id });
        }
        let next = PortState {
            id,
            listen,
            settings: Arc::new(port.clone()),
            proportions,
            servers,
            affinity_group,
            sorry,
            tls,
            counters: counters(known.as_ref(), self.lanes),
            alerted: known.as_ref().is_some_and(|known| known.alerted),
            told: known.map(|known| known.told).unwrap_or_default(),
            key,
        };
        self.dirty.insert(id);
        self.ports.insert(id, next);
        id
    }

    fn adopt_servers(&mut self, port: PortId, key: &PortKey, settings: &Port, now: Instant) -> Vec<ServerId> {
        let ids: Vec<ServerId> = settings
            .servers
            .iter()
            .map(|server| {
                let key = ServerKey { port: key.clone(), server: server.name.clone() };
                let id = self.identities.server(&key);
                match self.servers.get_mut(&id) {
                    Some(known) => {
                        let was = known.server.state;
                        known.reconfigure(server, now);
                        self.state_changed(id, was, now);
                    }
                    None => {
                        self.servers.insert(id, ServerState::new(id, key, port, server.clone(), self.lanes, now));
                        // Nothing is known of a port's first servers, so all of them begin alike.
                        self.come_back(id, now);
                    }
                }
                id
            })
            .collect();
        self.remove_servers(port, &ids);
        ids
    }

    /// A page that reads as before stays the one it was, so that its ports do not count as changed.
    fn take_sorry_pages(&mut self, resources: &Resources) {
        for (settings, site) in &resources.sorry {
            let same = self.sorry.get(settings).is_some_and(|known| known == site);
            if !same {
                self.sorry.insert(settings.clone(), Arc::clone(site));
            }
        }
        let wanted = self.site.sorry_pages();
        self.sorry.retain(|settings, _| wanted.contains(settings));
    }

    /// The files have to be known before a table names them.
    fn take_access_logs(&mut self) {
        let files = self.site.access_logs();
        let files: BTreeMap<_, _> =
            files.into_iter().map(|path| (self.identities.access_log(path), path.clone())).collect();
        if files != self.access_logs {
            self.access_logs.clone_from(&files);
            self.actions.push_back(Action::Log { files });
        }
    }

    fn sorry_page(&self, port: &Port) -> Arc<SorrySite> {
        let page = self.sorry.get(&port.sorry);
        Arc::clone(page.expect("what a plan needs is there before it is adopted"))
    }

    /// What an operator took out is taken out at once; the table that says so follows in the same turn.
    fn state_changed(&mut self, id: ServerId, was: AdministrativeState, now: Instant) {
        let Some(server) = self.servers.get(&id) else { return };
        let is = server.server.state;
        if is == was {
            return;
        }
        let text = format!("server {}: {} -> {} (operator)", server.key, was.word(), is.word());
        self.note(Notice::info(text));
        if is == AdministrativeState::Down {
            self.forget_affinity(id);
            self.cuts.push(id);
        }
        if was == AdministrativeState::Down && is == AdministrativeState::Up {
            self.come_back(id, now);
        }
    }

    /// Those of the port that are not among the present. What runs at them may run to its end.
    fn remove_servers(&mut self, port: PortId, present: &[ServerId]) {
        let before = self.ports.get(&port).map(|state| state.servers.clone()).unwrap_or_default();
        for gone in before.into_iter().filter(|id| !present.contains(id)) {
            self.forget_affinity(gone);
            self.servers.remove(&gone);
        }
    }

    fn remove_port(&mut self, id: PortId) {
        self.remove_servers(id, &[]);
        self.ports.remove(&id);
        self.verdicts.forget(id);
        self.dirty.remove(&id);
        self.gone.push(id);
        self.actions.push_back(Action::Unlisten { port: id });
    }

    /// Old connections of clients to this server count no more.
    fn forget_affinity(&mut self, server: ServerId) {
        let Some(state) = self.servers.get(&server) else { return };
        let Some(table) = self.table.port(state.port) else { return };
        if let Some(entry) = table.servers.iter().find(|entry| entry.id == server) {
            table.forget_affinity(entry);
        }
    }

    /// Every port of the table that nobody listens on yet.
    fn open_listeners(&mut self) {
        let proxies = self.ports.values().filter(|port| port.settings.listens());
        let wanted: BTreeMap<PortId, SocketAddr> = proxies.map(|port| (port.id, port.listen)).collect();
        // A port that became one of packets; those that were removed or moved are seen to already.
        for &port in self.listening.keys().filter(|port| self.ports.contains_key(port) && !wanted.contains_key(port)) {
            self.actions.push_back(Action::Unlisten { port });
        }
        for (&port, &address) in &wanted {
            if self.listening.get(&port) != Some(&address) {
                self.actions.push_back(Action::Listen { port, address });
            }
        }
        self.listening = wanted;
    }
}

fn counters(known: Option<&PortState>, lanes: usize) -> Arc<PortCounters> {
    known
        .map_or_else(|| Arc::new(PortCounters::new(lanes, ErrorReason::ALL.len())), |known| Arc::clone(&known.counters))
}

/// Whether advisors see the same servers on both, in the same way.
fn are_probed_alike(before: &Port, after: &Port) -> bool {
    let alike = |(a, b): (&Server, &Server)| {
        (&a.name, &a.host, a.mapport) == (&b.name, &b.host, b.mapport)
            && (&a.advisorrequest, &a.advisorresponse) == (&b.advisorrequest, &b.advisorresponse)
    };
    before.sendproxy == after.sendproxy
        && before.servers.len() == after.servers.len()
        && before.servers.iter().zip(&after.servers).all(alike)
}
