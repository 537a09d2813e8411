//! The layers of configuration: what the file says, and what operators changed since.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Change, Config, Document, Fault, Faults, Overrides, Refusal, Resolved};
use crate::message::SorrySite;
use crate::model::{PairSettings, Port, PortKey, PortTls, ServerTls, SorryPage};

use super::tls::TlsSites;

/// The configuration in force, with the layers it is made of.
#[derive(Debug)]
pub(super) struct Site {
    /// What was loaded.
    pub file: Document,
    /// What was loaded, with the operators' changes.
    pub effective: Document,
    /// What that means.
    pub config: Config,
    /// Settings that cannot work or may surprise.
    pub warnings: Vec<Fault>,
    /// The name of the file that was loaded last.
    pub source: Option<String>,
}

/// A configuration that could take the place of the present one. It is complete and free of faults; what it
/// needs from outside is named, so that it can be had before anything changes.
#[derive(Debug)]
pub struct Plan {
    pub(super) site: Site,
    /// Advice about settings that cannot work or may surprise.
    pub warnings: Vec<Fault>,
    /// The objects that a command named, as operators write them.
    pub touched: Vec<String>,
    /// Operators' changes that the new file overrides.
    pub dropped: Vec<String>,
    pub needs: Needs,
}

/// What must be had before a plan can be adopted.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Addresses to listen on, for ports that do not listen there yet.
    pub listeners: Vec<(SocketAddr, Occupancy)>,
    /// Sorry pages to read. A reload reads all of them: that is also how an edited page comes in.
    pub sorry: HashSet<SorryPage>,
    /// Certificates of ports to read, likewise.
    pub fronts: HashSet<PortTls>,
    /// Certificates for servers to read, likewise.
    pub backs: HashSet<ServerTls>,
    /// Access logs that no port writes to yet.
    pub access_logs: HashSet<PathBuf>,
    /// The key of the pair to read, likewise.
    pub pair_key: Option<PathBuf>,
}

impl Needs {
    /// What of it is not among those.
    pub fn without(self, others: &Self) -> Self {
        // Named one by one, so that what is added to it is thought of here.
        let Self { mut listeners, mut sorry, mut fronts, mut backs, mut access_logs, pair_key } = self;
        listeners.retain(|listener| !others.listeners.contains(listener));
        sorry.retain(|page| !others.sorry.contains(page));
        fronts.retain(|front| !others.fronts.contains(front));
        backs.retain(|back| !others.backs.contains(back));
        access_logs.retain(|path| !others.access_logs.contains(path));
        let pair_key = pair_key.filter(|path| others.pair_key.as_ref() != Some(path));
        Self { listeners, sorry, fronts, backs, access_logs, pair_key }
    }
}

/// Whether another port of ours listens on an address and is about to give it up (a cluster that was renamed).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occupancy {
    Free,
    Ours,
}

impl Occupancy {
    fn of(address: &SocketAddr, ours: &HashSet<SocketAddr>) -> Self {
        if ours.contains(address) { Self::Ours } else { Self::Free }
    }
}

impl Plan {
    /// What will be in force.
    pub fn config(&self) -> &Config {
        &self.site.config
    }

    /// Does without what is there already; for changes, which are typed one after the other.
    pub(super) fn without(
        mut self,
        pages: &HashMap<SorryPage, Arc<SorrySite>>,
        tls: &TlsSites,
        pair: Option<&PairSettings>,
    ) -> Self {
        self.needs.sorry.retain(|page| !pages.contains_key(page));
        self.needs.fronts.retain(|front| !tls.fronts.contains_key(front));
        self.needs.backs.retain(|back| !tls.backs.contains_key(back));
        self.needs.pair_key.take_if(|path| pair.is_some_and(|pair| pair.key == *path));
        self
    }
}

impl Site {
    /// The site of nothing at all.
    pub fn empty() -> Self {
        let nothing = Document::default();
        let resolved = nothing.resolve().expect("an empty document has no faults");
        let Resolved { config, warnings } = resolved;
        Self { file: nothing.clone(), effective: nothing, config, warnings, source: None }
    }

    /// The file with the overrides of an earlier life or of the running one.
    pub fn of_layers(file: Document, overrides: &Overrides, source: Option<String>) -> Result<Layered, Faults> {
        let (effective, dropped) = overrides.over(&file);
        let Resolved { config, warnings } = effective.resolve()?;
        Ok(Layered { site: Self { file, effective, config, warnings, source }, dropped })
    }

    pub fn overrides(&self) -> Overrides {
        Overrides::between(&self.file, &self.effective)
    }

    /// The site after an operator's command; this one is not touched.
    pub fn changed(&self, change: &Change) -> Result<(Self, Vec<String>), Refusal> {
        let mut effective = self.effective.clone();
        let touched = effective.apply(change)?;
        let site = self.with_effective(effective).map_err(|faults| Refusal::Refused(faults.to_string()))?;
        Ok((site, touched.0))
    }

    /// The site after a file was laid on top, as if its lines had been typed.
    pub fn appended(&self, text: &str, name: &str) -> Result<Self, Faults> {
        self.with_effective(self.effective.append(text, name)?)
    }

    fn with_effective(&self, effective: Document) -> Result<Self, Faults> {
        let Resolved { config, warnings } = effective.resolve()?;
        Ok(Self { file: self.file.clone(), effective, config, warnings, source: self.source.clone() })
    }

    /// Where the proxy ports of this configuration listen.
    fn listeners(&self) -> impl Iterator<Item = (PortKey, SocketAddr)> + '_ {
        let ports =
            self.config.clusters.iter().flat_map(|cluster| cluster.ports.iter().map(move |port| (cluster, port)));
        let ports = ports.filter(|(_, port)| port.listens());
        ports.map(|(cluster, port)| {
            let key = PortKey { cluster: cluster.name.clone(), port: port.number };
            (key, SocketAddr::new(cluster.address, port.number.get()))
        })
    }

    pub fn sorry_pages(&self) -> HashSet<SorryPage> {
        self.ports().map(|port| port.sorry.clone()).collect()
    }

    /// How ports speak TLS with clients.
    pub fn tls_fronts(&self) -> impl Iterator<Item = &PortTls> {
        self.ports().filter_map(|port| port.tls.as_ref())
    }

    /// How servers are spoken to inside TLS.
    pub fn tls_backs(&self) -> impl Iterator<Item = &ServerTls> {
        self.ports().flat_map(|port| &port.servers).filter_map(|server| server.proxied.tls.as_ref())
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        self.config.clusters.iter().flat_map(|cluster| &cluster.ports)
    }

    /// The files that ports write to.
    pub fn access_logs(&self) -> HashSet<&PathBuf> {
        self.ports().filter_map(|port| Some(&port.accesslog.as_ref()?.path)).collect()
    }

    /// What this site needs beyond what `present` already has.
    pub fn needs_beyond(&self, present: &Site) -> Needs {
        let had: HashMap<PortKey, SocketAddr> = present.listeners().collect();
        let ours: HashSet<SocketAddr> = had.values().copied().collect();
        let is_new = |(key, address): &(PortKey, SocketAddr)| had.get(key) != Some(address);
        let listeners = self.listeners().filter(is_new).map(|(_, address)| (address, Occupancy::of(&address, &ours)));
        let access_logs = self.access_logs().difference(&present.access_logs()).copied().cloned().collect();
        Needs {
            listeners: listeners.collect(),
            sorry: self.sorry_pages(),
            fronts: self.tls_fronts().cloned().collect(),
            backs: self.tls_backs().cloned().collect(),
            access_logs,
            pair_key: self.config.pair.as_ref().map(|pair| pair.key.clone()),
        }
    }
}

/// A site made of two layers, with what was lost on the way.
#[derive(Debug)]
pub(super) struct Layered {
    pub site: Site,
    pub dropped: Vec<String>,
}
