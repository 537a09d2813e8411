//! The packet engine's thread: each forwarding table becomes a plan in the engine's tables, the tables are swept, and their
//! counters go to where reports look.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::claim::Counts;
use crate::datapath::xdp::engine::{EngineError, Interface, PacketEngine, patience};
use crate::datapath::xdp::load::LoadError;
use crate::datapath::xdp::pins::PinError;
use crate::datapath::xdp::writer::{NextHop, NextHops};
use crate::executor::{ForwardingTable, PortTable};
use crate::model::{Engine, EngineSettings};
use crate::packet::Plan;
use crate::packet::compile::{Compiler, depends_on_time};
use crate::packet::sweep::Patience;

use super::super::claiming::Claiming;
use super::super::clock;
use super::copying::{Copying, LOOK};
use super::neighbours::{Neighbour, Surroundings};
use super::posts::Posts;
use super::{Inbox, News, Question, Status, listing, lock};

/// Between two slices of the sweep.
const TICK: Duration = Duration::from_millis(100);
/// Rules by time and load are settled anew this often (in ticks).
const RENEWALS: u32 = 10;
/// Counters reach reports this often (in ticks).
const READINGS: u32 = 5;
/// Whether all interfaces are still served is looked at this often (in ticks).
const LOOKS: u32 = 20;

/// Keeps the tables up to date, sweeps them and reads their counters.
pub(super) struct Keeper {
    engine: PacketEngine,
    compiler: Compiler,
    table: Arc<ForwardingTable>,
    plan: Plan,
    /// By the service's number in the tables.
    patience: HashMap<u32, Patience>,
    around: Surroundings,
    status: Arc<Mutex<Status>>,
    posts: Posts,
    refused: u64,
    /// `executor stop`: nothing new.
    closed: bool,
    copying: Copying,
}

/// The engine that is asked for; `auto`: in the kernel, or here where the kernel does not let us. Tables that are too big are too
/// big here as well, so that is a fault to be mended.
fn engine(settings: &EngineSettings, interfaces: &[Interface]) -> Result<PacketEngine, EngineError> {
    let here = || {
        warn_routers();
        PacketEngine::in_process(settings, interfaces.len())
    };
    if settings.engine == Engine::PacketSocket {
        return here();
    }
    match PacketEngine::load(settings, interfaces) {
        Err(error @ EngineError::Load(LoadError::Memory { .. })) => Err(error),
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

/// Beside packet sockets the kernel sees each frame too.
fn warn_routers() {
    for place in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        if std::fs::read_to_string(format!("/proc/sys/net/{place}")).is_ok_and(|on| on.trim() != "0") {
            tracing::warn!(
                "this host is a router (net/{place}): beside packet sockets its kernel tries to deliver packets for cluster \
                 addresses itself, and tells clients that it cannot; switch it off"
            );
        }
    }
}

impl Keeper {
    /// Loads what forwards and writes the first table. Nothing is forwarded yet.
    pub(super) fn new(
        settings: &EngineSettings,
        interfaces: &[Interface],
        table: Arc<ForwardingTable>,
        status: Arc<Mutex<Status>>,
        claiming: &Arc<Claiming>,
    ) -> Result<Self, EngineError> {
        let mut keeper = Self {
            engine: engine(settings, interfaces)?,
            compiler: Compiler::default(),
            table,
            plan: Plan::default(),
            patience: HashMap::new(),
            around: Surroundings::default(),
            status,
            posts: Posts::new(interfaces),
            refused: 0,
            closed: false,
            copying: Copying::new(claiming),
        };
        keeper.renew(Instant::now());
        Ok(keeper)
    }

    /// From here on packets are forwarded.
    pub(super) fn begin(&mut self) -> Result<(), EngineError> {
        self.posts.begin(&mut self.engine)?;
        self.engine.set_active(true);
        self.tell();
        Ok(())
    }

    /// Until the inbox says stop.
    pub(super) fn live(mut self, inbox: &Inbox) {
        let mut next = Instant::now() + TICK;
        let mut ticks = 0_u32;
        loop {
            let look = if self.copying.is_under_way() { LOOK } else { TICK };
            let news = inbox.wait(next.min(Instant::now() + look));
            if news.stop {
                return self.tell();
            }
            self.hear(news);
            self.copying.look(&self.engine, &self.plan);
            if Instant::now() >= next {
                ticks = ticks.wrapping_add(1);
                self.tick(ticks);
                next = Instant::now() + TICK;
            }
        }
    }

    fn hear(&mut self, news: News) {
        let is_new = news.table.is_some() || news.around.is_some() || news.closed.is_some();
        let links_changed = news.around.as_ref().is_some_and(|around| around.link_news != self.around.link_news);
        self.table = news.table.unwrap_or_else(|| Arc::clone(&self.table));
        self.around = news.around.unwrap_or_else(|| std::mem::take(&mut self.around));
        if let Some(closed) = news.closed {
            self.closed = closed;
            self.engine.set_active(!closed);
        }
        if links_changed {
            self.posts.look(&mut self.engine, Instant::now());
        }
        let claimed = news.claimed.is_some();
        if let Some(addresses) = news.claimed {
            self.copying.claim(addresses);
        }
        if is_new {
            self.renew(Instant::now());
        }
        if is_new || claimed {
            self.copying.renew(&self.engine, &self.plan);
        }
        if let Some(session) = news.session {
            self.copying.begin(session);
        }
        self.copying.take_in(&mut self.engine, &news.copied);
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
        if ticks.is_multiple_of(LOOKS) {
            self.posts.look(&mut self.engine, now);
        }
        if ticks.is_multiple_of(READINGS) {
            self.carry_counters();
            self.tell();
        }
    }

    /// Brings the kernel's tables to what the newest forwarding table means now.
    fn renew(&mut self, now: Instant) {
        let plan = self.compiler.compile(&self.table, now, clock::hour());
        let plan = if self.closed { plan.closed() } else { plan };
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
                    rule.hits.store(hits, Ordering::Relaxed);
                }
            }
        }
    }

    fn tell(&self) {
        let census = self.engine.last_census();
        *lock(&self.status) = Status {
            interfaces: self.posts.modes(&self.engine),
            reasons: self.engine.reasons(),
            connections: (census.entries, u64::from(self.engine.tables().connections.len()) * 4),
            half_open: census.half_open,
            drift: self.engine.drift(),
            refused_plans: self.refused,
            lost: self.posts.lost(),
            neighbours: self.around.neighbours.clone(),
            claims: Counts::default(),
            copied: self.copying.counts(),
        };
    }
}

/// For connections of services that were removed.
const SHORT: Patience = Patience { stale: 240, fin: 240 };
