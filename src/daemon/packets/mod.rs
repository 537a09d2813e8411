//! Drives the packet engine: a thread of its own gets each forwarding table and each change of the neighbourhood, keeps the
//! kernel's tables up to date, sweeps them, and carries their counters to where reports look.

pub mod claims;
pub mod interfaces;
mod listing;
pub mod neighbours;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::claim::Counts;
use crate::control::ConnectionFilter;
use crate::control::reply::{ConnectionList, Count, PacketReport};
use crate::datapath::packet_socket::PacketSockets;
use crate::datapath::xdp::engine::{EngineError, Interface, XdpEngine, patience};
use crate::datapath::xdp::pins::PinError;
use crate::datapath::xdp::writer::{NextHop, NextHops};
use crate::executor::{ForwardingTable, PortTable};
use crate::metrics::PacketReading;
use crate::model::{Claim, Engine, EngineSettings};
use crate::packet::Plan;
use crate::packet::compile::{Compiler, depends_on_time};
use crate::packet::reason::{Fate, Reason};
use crate::packet::sweep::Patience;
use crate::sys::datapath_layout::Tally;

use tokio::sync::oneshot;

use super::clock;
use claims::Claimants;
use interfaces::{InterfaceError, interface};
use neighbours::{Neighbour, Surroundings};

/// Why packets are not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum PacketsError {
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("no thread for the packet engine: {0}")]
    Thread(std::io::Error),
}

/// What reports say of the packet engine.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Interfaces with the mode in which each is served.
    pub interfaces: Vec<(String, &'static str)>,
    /// In the order of [`Reason::ALL`].
    pub reasons: Vec<Tally>,
    /// Connections in the table, and how many it has room for.
    pub connections: (u64, u64),
    pub half_open: u64,
    /// See [`XdpEngine::drift`].
    pub drift: i64,
    /// Plans that could not be put into the tables.
    pub refused_plans: u64,
    pub neighbours: HashMap<IpAddr, Neighbour>,
    /// Of ARP and neighbour discovery for cluster addresses.
    pub claims: Counts,
}

impl Status {
    fn counted(&self) -> impl Iterator<Item = (Reason, Tally)> + '_ {
        Reason::ALL.into_iter().zip(self.reasons.iter().copied())
    }

    /// For `dscontrol executor report`.
    pub fn report(&self) -> PacketReport {
        let of = |fate: Fate| {
            let counted = self.counted().filter(|(reason, tally)| reason.fate() == fate && tally.packets > 0);
            counted.map(|(reason, tally)| Count { reason: reason.word().to_owned(), count: tally.packets }).collect()
        };
        let mut neighbours: Vec<_> = self.neighbours.iter().collect();
        neighbours.sort_by_key(|(address, _)| **address);
        PacketReport {
            interfaces: self.interfaces.iter().map(|(name, mode)| (name.clone(), (*mode).to_owned())).collect(),
            sent: of(Fate::Sent),
            passed: of(Fate::Passed),
            dropped: of(Fate::Dropped),
            remarks: of(Fate::Remark),
            connections: self.connections.0,
            half_open: self.half_open,
            room: self.connections.1,
            drift: self.drift,
            refused_plans: self.refused_plans,
            arp_answers: self.claims.answers,
            announcements: self.claims.announcements,
            duplicates: self.claims.duplicates,
            neighbours: neighbours
                .into_iter()
                .map(|(address, state)| (address.to_string(), state.to_string()))
                .collect(),
        }
    }

    /// For Prometheus.
    pub fn reading(&self) -> PacketReading {
        PacketReading {
            reasons: self.counted().map(|(reason, tally)| (reason.word(), tally.packets, tally.bytes)).collect(),
            connections: self.connections.0,
            half_open: self.half_open,
            room: self.connections.1,
            drift: self.drift.unsigned_abs(),
            refused_plans: self.refused_plans,
            arp_answers: self.claims.answers,
            announcements: self.claims.announcements,
            duplicates: self.claims.duplicates,
        }
    }
}

/// What the thread has not seen yet. The newest of each kind is all that counts, so nothing queues up.
#[derive(Debug, Default)]
struct News {
    table: Option<Arc<ForwardingTable>>,
    around: Option<Surroundings>,
    questions: Vec<Question>,
    stop: bool,
}

/// Somebody wants to see connections.
#[derive(Debug)]
struct Question {
    filter: ConnectionFilter,
    answer: oneshot::Sender<ConnectionList>,
}

/// Questions that wait at one time: more than operators ask.
const QUESTIONS: usize = 16;

/// Why connections cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("the packet engine is too busy to list connections; a moment later would be right")]
pub struct Busy;

/// Where news are left for the thread, and what wakes it.
#[derive(Debug, Default)]
struct Inbox {
    news: Mutex<News>,
    left: Condvar,
}

impl Inbox {
    fn leave(&self, change: impl FnOnce(&mut News)) {
        change(&mut lock(&self.news));
        self.left.notify_one();
    }

    /// What is new, or nothing when the time has come.
    fn wait(&self, until: Instant) -> News {
        let is_empty =
            |news: &mut News| news.table.is_none() && news.around.is_none() && news.questions.is_empty() && !news.stop;
        let patience = until.saturating_duration_since(Instant::now());
        let waited = self.left.wait_timeout_while(lock(&self.news), patience, is_empty);
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// The packet engine's thread, as the control thread sees it.
#[derive(Debug)]
pub struct Packets {
    inbox: Arc<Inbox>,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
    wanted: tokio::sync::watch::Sender<HashSet<IpAddr>>,
    claimants: Claimants,
}

impl Packets {
    /// Loads the engine, writes the first table, attaches, and goes on in a thread. `None`: no interface is named.
    pub fn start(settings: &EngineSettings, table: Arc<ForwardingTable>) -> Result<Option<Self>, PacketsError> {
        if settings.interfaces.is_empty() {
            return Ok(None);
        }
        let interfaces = settings.interfaces.iter().map(|name| interface(name)).collect::<Result<Vec<_>, _>>()?;
        let engine = engine(settings, &interfaces)?;
        let status = Arc::new(Mutex::new(Status::default()));
        let mut keeper = Keeper {
            engine,
            compiler: Compiler::default(),
            table,
            plan: Plan::default(),
            patience: HashMap::new(),
            around: Surroundings::default(),
            status: Arc::clone(&status),
            names: interfaces.iter().map(|interface| (interface.index, interface.name.clone())).collect(),
            refused: 0,
            _sockets: None,
        };
        keeper.renew(Instant::now());
        keeper.begin(settings, &interfaces)?;
        keeper.engine.set_active(true);
        keeper.tell();
        for (name, mode) in &lock(&status).interfaces {
            tracing::info!(target: "tsuji::state", "interface {name}: packets are forwarded by {mode}");
        }
        let inbox = Arc::new(Inbox::default());
        let seen = Arc::clone(&inbox);
        let thread = std::thread::Builder::new().name("packets".to_owned()).spawn(move || keeper.live(&seen));
        let thread = Some(thread.map_err(PacketsError::Thread)?);
        let wanted = tokio::sync::watch::Sender::new(HashSet::new());
        let claimants = Claimants::start(&interfaces).map_err(PacketsError::Thread)?;
        claimants.set_active(true);
        Ok(Some(Self { inbox, status, thread, wanted, claimants }))
    }

    /// New flows are decided by this table soon after this returns; within a millisecond on an idle machine.
    pub fn publish(&self, table: Arc<ForwardingTable>) {
        let servers = table.mac_ports().flat_map(|port| port.servers.iter());
        let wanted: HashSet<IpAddr> = servers.filter_map(|server| server.address).map(|address| address.ip()).collect();
        self.wanted.send_if_modified(|before| {
            let differs = *before != wanted;
            *before = wanted;
            differs
        });
        let claimed = table.mac_ports().filter(|port| port.settings.packets.claim == Claim::Auto);
        let mut asked: BTreeMap<IpAddr, bool> = BTreeMap::new();
        for port in claimed.filter(|port| !port.listen.ip().is_unspecified()) {
            *asked.entry(port.listen.ip()).or_default() |= port.settings.servers.iter().any(|server| server.collocated);
        }
        self.claimants.claim(asked);
        self.leave(|news| news.table = Some(table));
    }

    /// Connections that the table remembers, the first thousand of those that the filter lets through.
    pub async fn connections(&self, filter: ConnectionFilter) -> Result<ConnectionList, Busy> {
        let (answer, awaited) = oneshot::channel();
        let question = Question { filter, answer };
        self.leave(|news| {
            if news.questions.len() < QUESTIONS {
                news.questions.push(question);
            }
        });
        awaited.await.map_err(|_| Busy)
    }

    pub fn status(&self) -> Status {
        Status { claims: self.claimants.counts(), ..lock(&self.status).clone() }
    }

    /// Watches the neighbourhood on this thread's runtime, for good.
    pub async fn watch(&self, changed: impl Fn(&Surroundings)) {
        loop {
            let told = |around: &Surroundings| {
                self.leave(|news| news.around = Some(around.clone()));
                changed(around);
            };
            match neighbours::watch(self.wanted.subscribe(), told).await {
                Ok(()) => return,
                Err(error) => tracing::error!("neighbours are not watched: {error}; tried again in a second"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn leave(&self, change: impl FnOnce(&mut News)) {
        self.inbox.leave(change);
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            tracing::error!("the packet engine's thread has died; the kernel goes on with the last plan");
        }
    }
}

impl Drop for Packets {
    /// The programs stay where they are and go on by the last plan: that is what pins are for.
    fn drop(&mut self) {
        self.inbox.leave(|news| news.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two slices of the sweep.
const TICK: Duration = Duration::from_millis(100);
/// Rules by time and load are settled anew this often (in ticks).
const RENEWALS: u32 = 10;
/// Counters reach reports this often (in ticks).
const READINGS: u32 = 5;

struct Keeper {
    engine: XdpEngine,
    compiler: Compiler,
    table: Arc<ForwardingTable>,
    plan: Plan,
    /// By the service's number in the tables.
    patience: HashMap<u32, Patience>,
    around: Surroundings,
    status: Arc<Mutex<Status>>,
    names: HashMap<u32, String>,
    refused: u64,
    /// The engine in this process, where the kernel's is not used.
    _sockets: Option<PacketSockets>,
}

/// The engine that is asked for; `auto`: in the kernel, or here where the kernel does not let us.
fn engine(settings: &EngineSettings, interfaces: &[Interface]) -> Result<XdpEngine, EngineError> {
    let here = || XdpEngine::in_process(settings, interfaces.len());
    if settings.engine == Engine::PacketSocket {
        return here();
    }
    match XdpEngine::load(settings, interfaces) {
        Err(error @ (EngineError::Load(_) | EngineError::Pins(PinError::NoBpffs(_))))
            if settings.engine == Engine::Auto =>
        {
            tracing::warn!(
                "packets are forwarded by packet sockets, at many times the cost: {error} (engine = \"xdp\" would refuse to \
                 start instead)"
            );
            here()
        }
        loaded => loaded,
    }
}

impl Keeper {
    /// From here on packets are forwarded.
    fn begin(&mut self, settings: &EngineSettings, interfaces: &[Interface]) -> Result<(), EngineError> {
        if self.engine.is_in_kernel() {
            return self.engine.attach(settings, interfaces);
        }
        let sockets = PacketSockets::start(self.engine.tables(), self.engine.keys(), interfaces);
        self._sockets = Some(sockets.map_err(EngineError::Sockets)?);
        Ok(())
    }

    fn live(mut self, inbox: &Inbox) {
        let mut next = Instant::now() + TICK;
        let mut ticks = 0_u32;
        loop {
            let news = inbox.wait(next);
            if news.stop {
                return self.tell();
            }
            self.hear(news);
            if Instant::now() >= next {
                ticks = ticks.wrapping_add(1);
                self.tick(ticks);
                next = Instant::now() + TICK;
            }
        }
    }

    fn hear(&mut self, news: News) {
        let is_new = news.table.is_some() || news.around.is_some();
        self.table = news.table.unwrap_or_else(|| Arc::clone(&self.table));
        self.around = news.around.unwrap_or_else(|| std::mem::take(&mut self.around));
        if is_new {
            self.renew(Instant::now());
        }
        for Question { filter, answer } in news.questions {
            // Who asked may have gone.
            let _ = answer.send(listing::list(&self.engine, &self.plan, &filter));
        }
    }

    fn tick(&mut self, ticks: u32) {
        let now = Instant::now();
        let held = self.compiler.next_deadline(now).is_some();
        if ticks.is_multiple_of(RENEWALS) && (held || depends_on_time(&self.table)) {
            self.renew(now);
        }
        let patience = &self.patience;
        self.engine.sweep(&|service| patience.get(&service).copied().unwrap_or(SHORT));
        if ticks.is_multiple_of(READINGS) {
            self.carry_counters();
            self.tell();
        }
    }

    /// Brings the kernel's tables to what the newest forwarding table means now.
    fn renew(&mut self, now: Instant) {
        let plan = self.compiler.compile(&self.table, now, clock::hour());
        let written = self.engine.write(&plan, &self.hops(), now);
        self.patience = self.patience_of_services();
        if let Err(error) = written {
            self.refused += 1;
            tracing::error!("packets are forwarded by the plan before: {error}");
            return;
        }
        self.plan = plan;
    }

    fn hops(&self) -> NextHops {
        let hop = |(&address, neighbour): (&IpAddr, &Neighbour)| match *neighbour {
            Neighbour::Reachable { mac, interface } => {
                let source = *self.around.interfaces.get(&interface)?;
                Some((address, NextHop { mac, source, interface }))
            }
            _ => None,
        };
        self.around.neighbours.iter().filter_map(hop).collect()
    }

    fn patience_of_services(&self) -> HashMap<u32, Patience> {
        let of = |port: &Arc<PortTable>| {
            let service = self.engine.service(&port.key.to_string())?;
            Some((service, patience(port.settings.timeouts.stale, port.settings.packets.fintimeout)))
        };
        self.table.mac_ports().filter_map(of).collect()
    }

    fn carry_counters(&self) {
        for port in self.table.mac_ports() {
            for server in &port.servers {
                if let Some(figures) = self.engine.server(&port.server_key(server).to_string()) {
                    server.counters.set_from_packets(figures.active, figures.counted.opened, figures.counted.bytes);
                }
            }
            for rule in &port.rules {
                if let Some(hits) = self.engine.rule_hits(&port.key.to_string(), rule.name.as_str()) {
                    rule.hits.store(hits, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
    }

    fn modes(&self) -> Vec<(String, &'static str)> {
        if !self.engine.is_in_kernel() {
            return self.names.values().map(|name| (name.clone(), "packet socket")).collect();
        }
        let named = |(index, mode): (u32, &'static str)| Some((self.names.get(&index)?.clone(), mode));
        self.engine.modes().into_iter().filter_map(named).collect()
    }

    fn tell(&self) {
        let census = self.engine.last_census();
        *lock(&self.status) = Status {
            interfaces: self.modes(),
            reasons: self.engine.reasons(),
            connections: (census.entries, u64::from(self.engine.tables().connections.len()) * 4),
            half_open: census.half_open,
            drift: self.engine.drift(),
            refused_plans: self.refused,
            neighbours: self.around.neighbours.clone(),
            claims: Counts::default(),
        };
    }
}

/// For connections of services that were removed.
const SHORT: Patience = Patience { stale: 240, fin: 240 };
