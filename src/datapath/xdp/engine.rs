//! The packet engine: the tables, who writes and sweeps them, and the programs at their interfaces, where the kernel has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aya::maps::Map;

use crate::model::EngineSettings;
use crate::packet::Plan;
use crate::packet::connections::{TIME_SHIFT, Value};
use crate::packet::hash::HashKeys;
use crate::packet::layout::{FLOOD_WINDOW_SHIFT, MAX_SERVERS, REASONS, live, server};
use crate::packet::reason::Reason;
use crate::packet::sweep::{Census, Patience, Sweep, units};
use crate::sys::datapath_layout::{Counters, SCHEMA, Tally};
use crate::wire::Mac;

use super::super::coarse_clock::coarse_units;
use super::attach::AttachError;
use super::load::{LoadError, Sizes};
use super::numbers::Identity;
use super::pins::{PinError, Pins};
use super::programs::{Ground, Programs, remove_maps};
use super::tables::Tables;
use super::writer::{NextHops, WriteError, Writer};

/// An interface of this host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    pub mac: Mac,
}

/// Why the engine does not run. Nothing of it is left in the kernel but what was there before.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Pins(#[from] PinError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error("no memory for the tables: {0}; fewer `connections` would be right")]
    Memory(std::io::Error),
    #[error(
        "packet sockets would see no packet: the XDP program of an earlier run is at an interface still, and forwards by its last \
         plan; `tsuji datapath detach` takes it away"
    )]
    StillInKernel,
    #[error("packet sockets: {0}")]
    Sockets(std::io::Error),
    #[error("the kernel gives no random numbers: {0}")]
    Random(std::io::Error),
}

/// The tables of one process, and the programs in the kernel that share them or the packet sockets here that do.
pub struct PacketEngine {
    tables: Arc<Tables>,
    keys: HashKeys,
    writer: Writer,
    /// In the kernel; `None`: somebody in this process forwards.
    programs: Option<Programs>,
    sweep: Progress,
    /// The affinity records and fragments: held for as long as the tables are.
    _maps: Vec<Map>,
    origin: Origin,
    /// What earlier processes counted: reports and rates begin with this one.
    before: Vec<Counters>,
}

/// Where the tables come from.
#[derive(Debug)]
enum Origin {
    New,
    /// From an earlier process of this version.
    Adopted,
    /// Those that clients would miss from another version, with the numbers of its services.
    Inherited(Vec<(u32, Identity)>),
}

/// Where the sweeper is in its pass.
#[derive(Debug, Default)]
struct Progress {
    next: u32,
    census: Census,
    /// What the last whole pass found.
    last: Census,
    /// Over all passes, by server.
    ended: Vec<u64>,
    drift: i64,
}

/// A pass over the table is made of so many slices.
const SLICES: u32 = 50;
/// New connections per second and CPU above which they are no longer remembered, as in Katran; below half of it they are
/// again.
const FLOOD: u32 = 125_000;
/// Affinity records of the kernel's table; each takes some 100 bytes.
const RECORDS: u32 = 262_144;

impl PacketEngine {
    /// Loads the program for each interface, with pinned tables that no other process uses meanwhile. Nothing is attached yet.
    pub fn load(settings: &EngineSettings, interfaces: &[Interface]) -> Result<Self, EngineError> {
        let ground = Ground::take(settings)?;
        let own = ground.pins.legacy()?;
        let estate = if own.is_none() { ground.inherit() } else { None };
        let legacy = own.or_else(|| estate.as_ref().map(|estate| estate.legacy));
        let cpus = aya::util::nr_cpus().map_or(1, |count| count as u32);
        let mut sizes = Sizes::of(settings.connections, RECORDS, cpus);
        let keys = match legacy {
            Some(legacy) => {
                if legacy.buckets != sizes.buckets {
                    tracing::warn!(
                        "the connection table keeps its size while it is pinned; `tsuji datapath detach` and a start give \
                         it the new one"
                    );
                }
                sizes.buckets = legacy.buckets;
                legacy.keys
            }
            None => random_keys().map_err(EngineError::Random)?,
        };
        let directory = ground.pins.maps().to_owned();
        let remove_new = |_: &LoadError| {
            if own.is_none() {
                remove_maps(&directory)
            }
        };
        let mut programs = ground.load(keys, sizes, interfaces).inspect_err(remove_new)?;
        let (tables, maps) = programs.tables()?;
        let origin = match estate {
            Some(estate) => Origin::Inherited(estate.services),
            None if own.is_some() => Origin::Adopted,
            None => Origin::New,
        };
        Ok(Self::with(tables, Some(programs), maps, (sizes, keys, origin)))
    }

    /// Tables in this process, for packet sockets: no program, nothing pinned, nothing that outlives the process.
    pub fn in_process(settings: &EngineSettings, lanes: usize) -> Result<Self, EngineError> {
        // Without the right to look there is nothing to be known.
        if Pins::all(&settings.bpffs).is_ok_and(|all| all.iter().any(|pins| !pins.links().is_empty())) {
            return Err(EngineError::StillInKernel);
        }
        let sizes = Sizes::of(settings.connections, RECORDS, lanes as u32);
        let keys = random_keys().map_err(EngineError::Random)?;
        let tables = Tables::in_process(&sizes).map_err(EngineError::Memory)?;
        Ok(Self::with(tables, None, Vec::new(), (sizes, keys, Origin::New)))
    }

    fn with(
        tables: Tables,
        programs: Option<Programs>,
        maps: Vec<Map>,
        (sizes, keys, origin): (Sizes, HashKeys, Origin),
    ) -> Self {
        let writer = match &origin {
            Origin::New => Writer::new(),
            Origin::Adopted => Writer::adopt(&tables),
            Origin::Inherited(services) => Writer::inherit(&tables, services),
        };
        let mut live = tables.live.get(0).unwrap_or_default();
        live.schema = SCHEMA;
        live.buckets = sizes.buckets;
        live.keys = keys.0;
        live.new_limit = flood_limit(FLOOD);
        let _ = tables.live.set(0, live);
        let before = (0..MAX_SERVERS).map(|number| tables.counted(number)).collect();
        let sweep = Progress::default();
        let mut engine = Self { tables: Arc::new(tables), keys, writer, programs, sweep, _maps: maps, origin, before };
        if !matches!(engine.origin, Origin::New) {
            engine.count_all();
        }
        engine
    }

    /// Puts the programs at their interfaces. On an error none of those that came new stays.
    pub fn attach(&mut self, interfaces: &[Interface]) -> Result<(), EngineError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        programs.attach(interfaces).inspect_err(|_| {
            if !matches!(self.origin, Origin::Adopted) {
                programs.remove_maps();
            }
        })?;
        Ok(())
    }

    /// Forwards on this interface in the place of the one before; the other interfaces notice nothing.
    pub fn serve(&mut self, place: usize, interface: &Interface) -> Result<(), EngineError> {
        let Some(programs) = &mut self.programs else { return Ok(()) };
        Ok(programs.serve(place, interface)?)
    }

    /// Takes away what is pinned for an interface that has gone.
    pub fn let_go(&mut self, place: usize) {
        if let Some(programs) = &mut self.programs {
            programs.let_go(place);
        }
    }

    /// Whether programs of the kernel forward; else somebody in this process has to, by [`tables`](Self::tables).
    pub fn is_in_kernel(&self) -> bool {
        self.programs.is_some()
    }

    /// How the interface at this place of those that it was loaded for is served; `None`: it is not.
    pub fn mode(&self, place: usize) -> Option<&'static str> {
        self.programs.as_ref()?.mode(place)
    }

    /// Whether `tsuji datapath detach` took the interface at this place away; `true` once, and from then on it is not served.
    pub fn let_go_if_detached(&mut self, place: usize) -> bool {
        self.programs.as_mut().is_some_and(|programs| programs.let_go_if_detached(place))
    }

    /// Brings the tables to this plan.
    pub fn write(&mut self, plan: &Plan, hops: &NextHops, now: Instant) -> Result<(), WriteError> {
        self.writer.apply(&self.tables, plan, hops, now)
    }

    /// Answers echo requests for the cluster addresses from now on, or no longer.
    pub fn set_active(&self, active: bool) {
        let Some(mut live) = self.tables.live.get(0) else { return };
        live.flags = if active { live.flags | live::ACTIVE } else { live.flags & !live::ACTIVE };
        let _ = self.tables.live.set(0, live);
    }

    /// Sweeps the next slice of the connection table. `true`: a whole pass is done, and [`last_census`](Self::last_census) is new.
    pub fn sweep(&mut self, patience: &dyn Fn(u32) -> Patience) -> bool {
        let slots = self.tables.connections.len();
        let end = (self.sweep.next + slots.div_ceil(SLICES)).min(slots);
        let words = self.tables.connections.words();
        let slice = words.get(self.sweep.next as usize * 8..end as usize * 8).unwrap_or_default();
        let servers = &self.tables.servers;
        let purged = |number: u16| {
            let flags = servers.get(u32::from(number)).map_or(0, |server| server.flags);
            flags & (server::DEAD | server::RESET) == server::DEAD
        };
        let sweep =
            Sweep { now: coarse_units(), patience: &|service| patience(u32::from(service) / 2), purged: &purged };
        sweep.run(slice, &mut self.sweep.census);
        self.sweep.next = end;
        if end == slots {
            self.end_pass();
        }
        end == slots
    }

    /// One whole pass that ends nothing: how many connections there are is in the table alone.
    fn count_all(&mut self) {
        let forever = Patience { stale: u32::MAX / 2, fin: u32::MAX / 2 };
        let sweep = Sweep { now: coarse_units(), patience: &|_| forever, purged: &|_| false };
        sweep.run(self.tables.connections.words(), &mut self.sweep.census);
        self.end_pass();
    }

    fn end_pass(&mut self) {
        let census = std::mem::take(&mut self.sweep.census);
        self.sweep.next = 0;
        self.sweep.ended.resize(MAX_SERVERS as usize, 0);
        let mut drift = 0;
        for (number, ended) in (0..).zip(&mut self.sweep.ended) {
            let figures = census.of(number as u16);
            *ended = ended.wrapping_add(figures.expired + figures.purged);
            let counted = self.tables.counted(number);
            let derived = counted.opened.wrapping_sub(counted.closed_fin);
            let derived = derived.wrapping_sub(counted.closed_rst).wrapping_sub(*ended);
            let gap = derived.wrapping_sub(figures.active).cast_signed();
            drift += gap.abs();
            // What was opened and closed while the pass went by is in the gap too, and comes right with the next one.
            *ended = ended.wrapping_add(gap.cast_unsigned());
        }
        self.sweep.drift = drift;
        self.guard_room(&census);
        self.sweep.last = census;
    }

    /// Too many half-open connections are a flood that stays below the rate of a single CPU's gauge: while they fill a quarter
    /// of the table, which is as many as half of the connections it is made for, SYNs are not remembered. It is left below
    /// half of that.
    fn guard_room(&self, census: &Census) {
        let Some(mut state) = self.tables.live.get(0) else { return };
        let places = u64::from(self.tables.connections.len()) * 4;
        let stateless = state.flags & live::STATELESS != 0;
        let level = if stateless { places / 8 } else { places / 4 };
        let wanted = census.half_open > level;
        if wanted != stateless {
            state.flags ^= live::STATELESS;
            let _ = self.tables.live.set(0, state);
            let words = if wanted { "are no longer remembered" } else { "are remembered again" };
            tracing::warn!(target: "tsuji::state", "{} half-open connections: new ones {words}", census.half_open);
        }
    }

    /// What the last whole pass found; [`Census::default`] before the first.
    pub fn last_census(&self) -> &Census {
        &self.sweep.last
    }

    /// By how much counters and table differed at the end of the last pass, over all servers. On a quiet table 0; under
    /// traffic at most what was opened and closed during the pass.
    pub fn drift(&self) -> i64 {
        self.sweep.drift
    }

    /// What was counted of a server; `None` while it is in no plan.
    pub fn server(&self, name: &str) -> Option<ServerFigures> {
        let number = self.writer.server(name)?;
        let counted = self.tables.counted(number);
        let ended = self.sweep.ended.get(number as usize).copied().unwrap_or(0);
        let closed = counted.closed_fin.wrapping_add(counted.closed_rst).wrapping_add(ended);
        let active = counted.opened.wrapping_sub(closed);
        // While a pass is under way it may have seen an end that the counters have not, for a moment.
        let active = if active > u64::MAX / 2 { 0 } else { active };
        let before = self.before.get(number as usize).copied().unwrap_or_default();
        Some(ServerFigures { counted: counted.minus(before), active })
    }

    /// The number of a server, by which connections know it.
    pub fn number(&self, server: &str) -> Option<u32> {
        self.writer.server(server)
    }

    /// How long ago an entry was seen.
    pub fn age(&self, value: Value) -> Duration {
        Duration::from_nanos(u64::from(value.age(coarse_units())) << TIME_SHIFT)
    }

    /// How often a rule chose.
    pub fn rule_hits(&self, service: &str, rule: &str) -> Option<u64> {
        Some(self.tables.cursors.get(self.writer.rule(service, rule)?)?.hits)
    }

    /// The service's number, by which [`sweep`](Self::sweep) asks for its patience.
    pub fn service(&self, name: &str) -> Option<u32> {
        self.writer.service(name)
    }

    /// Packets and bytes by reason, in the order of [`Reason::ALL`].
    pub fn reasons(&self) -> Vec<Tally> {
        let mut tallies: Vec<Tally> = (0..REASONS).map(|reason| self.tables.tallied(reason)).collect();
        let sent = self.forwarded(&tallies);
        if let Some(tally) = tallies.get_mut(Reason::Forwarded as usize) {
            *tally = sent;
        }
        tallies
    }

    /// The program counts what it forwards at each server alone, to touch one cache line and not two; packets that it then
    /// passes or drops for want of a MAC address are among them.
    fn forwarded(&self, tallies: &[Tally]) -> Tally {
        let of = |reason: Reason| tallies.get(reason as usize).copied().unwrap_or_default();
        let counted = (0..MAX_SERVERS).map(|number| self.tables.counted(number));
        let all = counted.fold(Counters::default(), Counters::plus);
        let all = Tally { packets: all.packets, bytes: all.bytes };
        [Reason::Local, Reason::NoNeighbour].into_iter().map(of).fold(all, |left, other| Tally {
            packets: left.packets.saturating_sub(other.packets),
            bytes: left.bytes.saturating_sub(other.bytes),
        })
    }

    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    pub(super) fn hash_keys(&self) -> &HashKeys {
        &self.keys
    }

    /// A connection came into the table that no packet opened: it counts as one of the first server, and no longer of the second.
    pub(super) fn note_taken_in(&mut self, (to, from): (Option<u16>, Option<u16>)) {
        self.sweep.ended.resize(MAX_SERVERS as usize, 0);
        for (server, by) in [(to, u64::MAX), (from, 1)] {
            if let Some(ended) = server.and_then(|server| self.sweep.ended.get_mut(usize::from(server))) {
                *ended = ended.wrapping_add(by);
            }
        }
    }

    /// Secret: what flows are hashed with.
    pub fn keys(&self) -> HashKeys {
        self.keys
    }
}

/// One server's counters over all CPUs, and what follows from them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerFigures {
    pub counted: Counters,
    /// Connections opened and neither closed nor expired.
    pub active: u64,
}

/// A limit per second as one per window of the program's flood gauge.
fn flood_limit(per_second: u32) -> u32 {
    let window = Duration::from_nanos(1 << (TIME_SHIFT + FLOOD_WINDOW_SHIFT));
    (u64::from(per_second) * window.as_nanos() as u64 / 1_000_000_000) as u32
}

/// A port's patience in the table's units.
pub fn patience(stale: Duration, fin: Duration) -> Patience {
    Patience { stale: units(stale), fin: units(fin) }
}

fn random_keys() -> std::io::Result<HashKeys> {
    use std::io::Read;
    let mut bytes = [0; 256];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut keys = [0; 32];
    for (key, chunk) in keys.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *key = u64::from_ne_bytes(*chunk);
    }
    Ok(HashKeys(keys))
}
