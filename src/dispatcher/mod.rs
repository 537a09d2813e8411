//! The heart: executor, manager, advisors and configuration as one machine without I/O.
//!
//! Events and the time go in ([`Dispatcher::handle`], [`Dispatcher::adopt`]), actions come out ([`Dispatcher::poll_action`]), and
//! the machine says when it wants to be called again ([`Dispatcher::next_deadline`]). It owns every fact; data paths get
//! an immutable [`ForwardingTable`] per change, so membership, rules, weights and health change in one swap.
//!
//! A change of configuration has two steps, because it may need something from outside: [`Dispatcher::plan_change`] and
//! its sisters check everything and name what is needed (sockets, sorry pages), and change nothing; when that
//! was had, [`Dispatcher::adopt`] puts the plan in force. A plan that is dropped leaves no trace.
//!
//! Not here: sockets, files, tasks, logs (`daemon`), the words of commands (`control`).

mod adopt;
mod alerts;
mod claimed;
mod event;
mod explain;
mod identity;
mod pair;
mod pair_check;
mod publish;
mod ramp;
mod report;
mod resolve;
mod role_alerts;
mod site;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod watch;
mod weigh;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use adopt::Resources;
pub use alerts::{Alert, AlertEvent, AlertedServer};
pub use claimed::ClaimedAddress;
pub use event::{Action, Event, Notice, Severity};
pub use pair::{NoPair, PairGroup, PairPlan, PairReading, path_id};
pub use pair_check::compare_pair;
pub use report::{AccessLogReading, Outside, not_taken_over, pair_notice};
pub use role_alerts::{RoleAlert, idle_alerts, role_alerts};
pub use site::{Needs, Occupancy, Plan};
pub use tls::CertificateInUse;

use crate::advisor::{Advisors, Record};
use crate::config::{Change, Config, Document, Fault, Faults, Overrides, Refusal};
use crate::executor::{AffinityTable, CookieKey, ForwardingTable};
use crate::manager::{Manager, Verdicts};
use crate::message::SorrySite;
use crate::model::{AccessLogId, PortId, ServerId, SorryPage};

use identity::Identities;
use site::Site;
use state::{PortState, ServerState};
use tls::TlsSites;

/// One dispatcher.
pub struct Dispatcher {
    site: Site,
    /// Plans adopted so far.
    generation: u64,
    identities: Identities,
    ports: BTreeMap<PortId, PortState>,
    servers: HashMap<ServerId, ServerState>,
    manager: Manager,
    advisors: Advisors,
    verdicts: Verdicts,
    affinity: Arc<AffinityTable>,
    /// What values of our own cookies are made with.
    cookie_key: CookieKey,
    /// The pages of the present ports.
    sorry: HashMap<SorryPage, Arc<SorrySite>>,
    /// What the present ports and servers speak TLS with.
    tls: TlsSites,
    /// The files that ports write to.
    access_logs: BTreeMap<AccessLogId, PathBuf>,
    table: Arc<ForwardingTable>,
    /// Ports whose table is out of date.
    dirty: BTreeSet<PortId>,
    gone: Vec<PortId>,
    /// The advisors' targets are out of date.
    new_targets: bool,
    /// When the advisors were given their targets last.
    aimed: Instant,
    /// Servers whose running connections end with the next table.
    cuts: Vec<ServerId>,
    /// Machines that packets cannot be forwarded to, and why.
    unreached: HashMap<IpAddr, String>,
    /// Where the data paths were told to listen.
    listening: BTreeMap<PortId, SocketAddr>,
    actions: VecDeque<Action>,
    /// When the next host name is to be looked up.
    lookup_at: Option<Instant>,
    /// When connection rates are measured next.
    measure_at: Instant,
    measured: Instant,
    started: Instant,
    /// How many workers count in lanes of their own.
    lanes: usize,
}

impl Dispatcher {
    /// A dispatcher without any port; `seed` spreads its probes over time.
    pub fn new(lanes: usize, seed: u64, cookie_key: CookieKey, now: Instant) -> Self {
        let site = Site::empty();
        let manager = Manager::new(site.config.manager, now);
        let affinity = Arc::new(AffinityTable::new(site.config.executor.maxaffinity as usize));
        Self {
            generation: 0,
            identities: Identities::default(),
            ports: BTreeMap::new(),
            servers: HashMap::new(),
            manager,
            advisors: Advisors::new(seed),
            verdicts: Verdicts::new(&site.config.manager),
            affinity,
            cookie_key,
            sorry: HashMap::new(),
            tls: TlsSites::default(),
            access_logs: BTreeMap::new(),
            table: Arc::default(),
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            new_targets: false,
            aimed: now,
            cuts: Vec::new(),
            unreached: HashMap::new(),
            listening: BTreeMap::new(),
            actions: VecDeque::new(),
            lookup_at: None,
            measure_at: now + RATE_INTERVAL,
            measured: now,
            started: now,
            lanes,
            site,
        }
    }

    /// What would come of this file with what operators changed since the present one was loaded.
    pub fn plan_file(&self, file: Document, name: &str) -> Result<Plan, Faults> {
        self.plan_layers(file, &self.site.overrides(), name)
    }

    /// What would come of this file with these overrides, as kept from an earlier life.
    pub fn plan_layers(&self, file: Document, overrides: &Overrides, name: &str) -> Result<Plan, Faults> {
        let layered = Site::of_layers(file, overrides, Some(name.to_owned()))?;
        Ok(self.plan(layered.site, Vec::new(), layered.dropped))
    }

    /// What would come of this file laid on top of everything.
    pub fn plan_append(&self, text: &str, name: &str) -> Result<Plan, Faults> {
        Ok(self.plan(self.site.appended(text, name)?, Vec::new(), Vec::new()))
    }

    /// What would come of this command.
    pub fn plan_change(&self, change: &Change) -> Result<Plan, Refusal> {
        let (site, touched) = self.site.changed(change)?;
        let mut plan =
            self.plan(site, touched, Vec::new()).without(&self.sorry, &self.tls, self.config().pair.as_ref());
        let note = |note: &String| Fault { place: None, message: note.clone() };
        plan.warnings.extend(change.notes().iter().map(note));
        Ok(plan)
    }

    fn plan(&self, site: Site, touched: Vec<String>, dropped: Vec<String>) -> Plan {
        let needs = site.needs_beyond(&self.site);
        Plan { warnings: site.warnings.clone(), site, touched, dropped, needs }
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Due => {}
            Event::ProbeFinished { probe, outcome } => self.probe_finished(probe, outcome, now),
            Event::Resolved { host, answer } => self.resolved(&host, answer, now),
            Event::Unreached(machines) => {
                self.unreached = machines;
                self.hear_of_neighbours(now);
            }
        }
        self.catch_up(now);
    }

    /// Does everything that is due.
    fn catch_up(&mut self, now: Instant) {
        self.measure_rates(now);
        self.weigh(now);
        self.aim(now);
        self.start_probes(now);
        self.judge_due(now);
        self.start_lookups(now);
        self.publish();
    }

    /// The next thing to be done outside, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Due`] is wanted.
    pub fn next_deadline(&self) -> Instant {
        let deadlines = [
            self.manager.next_deadline(),
            self.advisors.next_deadline(),
            self.verdicts.next_deadline(),
            self.lookup_at,
            self.aim_at(),
        ];
        deadlines.into_iter().flatten().fold(self.measure_at, Instant::min)
    }

    pub fn config(&self) -> &Config {
        &self.site.config
    }

    /// The configuration file and what operators changed on top of it.
    pub fn document(&self) -> &Document {
        &self.site.effective
    }

    pub fn overrides(&self) -> Overrides {
        self.site.overrides()
    }

    /// What was loaded last, without the operators' changes.
    pub fn file(&self) -> &Document {
        &self.site.file
    }

    pub fn source(&self) -> Option<&str> {
        self.site.source.as_deref()
    }

    pub fn table(&self) -> &Arc<ForwardingTable> {
        &self.table
    }

    pub fn affinity(&self) -> &Arc<AffinityTable> {
        &self.affinity
    }

    /// What each advisor knows of each server.
    pub fn probe_records(&self) -> impl Iterator<Item = &Record> {
        self.advisors.records()
    }

    /// Ports on which all servers are down.
    pub fn alerts(&self) -> u64 {
        self.ports.values().filter(|port| port.alerted).count() as u64
    }

    /// Plans adopted so far: the generation of the configuration.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn note(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notice(notice));
    }
}

/// How often connection rates are measured. The unit of the `connection` rule is one second.
const RATE_INTERVAL: Duration = Duration::from_secs(1);
