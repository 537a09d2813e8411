//! What ports and servers speak TLS with, beside their settings.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crate::model::{Name, Port, PortId, PortKey, PortTls, ServerTls};
use crate::tls::{Identity, ServerLink, TlsBack, TlsFront};

use super::site::Site;
use super::{Dispatcher, Notice, Resources};

/// What was made of certificates, by the settings that name them.
#[derive(Debug, Default)]
pub(super) struct TlsSites {
    pub fronts: HashMap<PortTls, Arc<TlsFront>>,
    pub backs: HashMap<ServerTls, Arc<TlsBack>>,
}

/// What one port speaks TLS with.
#[derive(Debug, Default)]
pub(super) struct PortSecurity {
    pub front: Option<Arc<TlsFront>>,
    /// In the order of its servers.
    pub links: Vec<Option<Arc<ServerLink>>>,
}

/// A certificate in use.
#[derive(Clone, Debug)]
pub struct CertificateInUse<'a> {
    pub port: PortKey,
    /// It is shown to this server; `None`: to clients.
    pub server: Option<&'a Name>,
    pub identity: &'a Identity,
}

impl CertificateInUse<'_> {
    /// Whose it is, as operators write it.
    pub fn object(&self) -> String {
        match self.server {
            None => self.port.to_string(),
            Some(server) => format!("{}{}{server}", self.port, self.port.separator()),
        }
    }
}

impl TlsSites {
    /// Takes what is new. What is made of the same files stays the one it was, so that its ports do not count as changed.
    pub fn take(&mut self, resources: &Resources, site: &Site) {
        for (settings, front) in &resources.fronts {
            if !self.fronts.get(settings).is_some_and(|known| known.is_same(front)) {
                self.fronts.insert(settings.clone(), Arc::clone(front));
            }
        }
        for (settings, back) in &resources.backs {
            if !self.backs.get(settings).is_some_and(|known| known.is_same(back)) {
                self.backs.insert(settings.clone(), Arc::clone(back));
            }
        }
        let (fronts, backs): (HashSet<_>, HashSet<_>) = (site.tls_fronts().collect(), site.tls_backs().collect());
        self.fronts.retain(|settings, _| fronts.contains(settings));
        self.backs.retain(|settings, _| backs.contains(settings));
    }

    pub fn of_port(&self, port: &Port) -> PortSecurity {
        let front = port.tls.as_ref().and_then(|settings| self.fronts.get(settings)).cloned();
        let links = port.servers.iter().map(|server| {
            let settings = server.proxied.tls.as_ref()?;
            let back = self.backs.get(settings)?;
            ServerLink::new(Arc::clone(back), settings, &server.host).ok().map(Arc::new)
        });
        PortSecurity { front, links: links.collect() }
    }
}

impl PortSecurity {
    pub fn is_same(&self, other: &Self) -> bool {
        let same_front = match (&self.front, &other.front) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let same = |pair: (&Option<Arc<ServerLink>>, &Option<Arc<ServerLink>>)| match pair {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        };
        same_front && self.links.len() == other.links.len() && self.links.iter().zip(&other.links).all(same)
    }
}

impl Dispatcher {
    /// Puts certificates in force that were read anew. Connections that are there keep what they were served; returns how
    /// many ports changed.
    pub fn renew(&mut self, resources: &Resources, now: Instant) -> usize {
        self.tls.take(resources, &self.site);
        let changed: Vec<(PortId, PortSecurity)> = self
            .ports
            .values()
            .map(|port| (port.id, self.tls.of_port(&port.settings)))
            .filter(|(id, next)| self.ports.get(id).is_some_and(|port| !port.tls.is_same(next)))
            .collect();
        let count = changed.len();
        for (id, next) in changed {
            if let Some(port) = self.ports.get_mut(&id) {
                let text = format!("port {}: certificates were read anew", port.key);
                port.tls = next;
                self.note(Notice::info(text));
                self.dirty.insert(id);
            }
        }
        self.publish();
        self.catch_up(now);
        count
    }

    /// What the present configuration reads of certificates.
    pub fn tls_settings(&self) -> (HashSet<PortTls>, HashSet<ServerTls>) {
        (self.site.tls_fronts().cloned().collect(), self.site.tls_backs().cloned().collect())
    }

    /// The certificates in use, in the order of the configuration: those of a port, then those that its servers are shown.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateInUse<'_>> {
        let clusters = self.site.config.clusters.iter();
        let ports = clusters.flat_map(|cluster| cluster.ports.iter().map(move |port| (&cluster.name, port)));
        ports.flat_map(|(cluster, port)| {
            let key = PortKey { cluster: cluster.clone(), port: port.number };
            let in_use = move |server, identity| CertificateInUse { port: key.clone(), server, identity };
            let shown = |server: &'_ crate::model::Server| self.tls.backs.get(server.proxied.tls.as_ref()?)?.own();
            let front = port.tls.as_ref().and_then(|settings| self.tls.fronts.get(settings));
            let fronts = front.into_iter().flat_map(|front| front.certificates().all()).map(|one| (None, one.as_ref()));
            let backs = port.servers.iter().filter_map(move |server| Some((Some(&server.name), shown(server)?)));
            fronts.chain(backs).map(move |(server, identity)| in_use(server, identity))
        })
    }

    /// Ports that have certificates by their settings, and none that could be used.
    pub fn bare_ports(&self) -> impl Iterator<Item = &PortKey> {
        let bare = self.ports.values().filter(|port| port.settings.tls.is_some() && port.tls.front.is_none());
        bare.map(|port| &port.key)
    }

    /// What a port of these settings has now.
    pub fn tls_front(&self, settings: &PortTls) -> Option<&Arc<TlsFront>> {
        self.tls.fronts.get(settings)
    }
}
