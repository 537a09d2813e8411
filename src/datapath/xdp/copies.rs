//! Connections as two dispatchers of a pair tell them to each other: taken out of one's table and put into the other's.
//!
//! Numbers of services and servers are each dispatcher's own, and so are the keys of fingerprints. What travels are
//! names, as hashes that are the same everywhere, and the flow itself.

use std::collections::HashMap;
use std::time::Duration;

use crate::datapath::coarse_clock::coarse_units;
use crate::executor::fnv1a;
use crate::packet::connections::{Entered, Place, SLOTS, State, TIME_SHIFT, Table, Value, Witness, units};
use crate::packet::hash::{Flow, Key};
use crate::packet::{Plan, ServicePlan};
use crate::sys::datapath_layout::Tuple;

use super::engine::PacketEngine;
use super::tables::Tables;

/// A connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copy {
    /// [`fnv1a`] of the names.
    pub service: u64,
    pub server: u64,
    /// As its packets have it. Of a service with one IPv4 address and one port the client's half alone.
    pub flow: Flow,
    pub state: State,
    /// How long ago it was seen.
    pub idle: Duration,
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TakenIn {
    Done,
    /// This dispatcher has no such service or server, or not yet.
    Unknown,
    Full,
}

/// The names of one plan.
#[derive(Debug, Default)]
pub struct Names {
    services: HashMap<u16, Service>,
    service_numbers: HashMap<u64, u16>,
    servers: HashMap<u16, u64>,
    server_numbers: HashMap<u64, u16>,
}

#[derive(Clone, Copy, Debug)]
struct Service {
    name: u64,
    exact: bool,
    /// Its connections are told to the partner.
    told: bool,
}

/// From where on a table is looked through for what is to be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    /// The next slot of the search for news.
    next: u32,
    /// The next slot of the round in which everything is told again.
    round: u32,
    /// Everything is told up to the end of the round.
    whole: bool,
}

/// Slots that one look goes over for news, in a millisecond or two. A table for a million connections has two million: it is
/// gone over in two looks.
const SLOTS_OF_LOOK: u32 = 1_048_576;
/// Once within so many looks everything that lives is told again: what was lost on the way, and that it lives.
const LOOKS_OF_ROUND: u32 = 2_400;
/// A snapshot takes so many looks.
const LOOKS_OF_SNAPSHOT: u32 = 20;

impl Names {
    /// `told`: whether the partner is to know of a service's connections.
    pub fn of(engine: &PacketEngine, plan: &Plan, told: impl Fn(&ServicePlan) -> bool) -> Self {
        let mut names = Self::default();
        for service in &plan.services {
            let Some(number) = engine.service(&service.name) else { continue };
            // The number in keys has the protocol in its lowest bit.
            let (number, name) = ((number * 2) as u16, fnv1a(&service.name));
            let exact = service.address.is_ipv4() && !service.address.is_unspecified() && service.ports.len() == 1;
            names.services.insert(number, Service { name, exact, told: told(service) && !service.unrecorded });
            names.service_numbers.insert(name, number);
            for server in &service.servers {
                let Some(number) = engine.number(&server.name) else { continue };
                let name = fnv1a(&server.name);
                names.servers.insert(number as u16, name);
                names.server_numbers.insert(name, number as u16);
            }
        }
        names
    }
}

impl Reader {
    /// Everything is told from here on, as to a partner that knows nothing.
    pub fn snapshot() -> Self {
        Self { next: 0, round: 0, whole: true }
    }
}

impl PacketEngine {
    /// What the partner does not know yet, at most `most` of it; the rest is for the next look. `true`: a snapshot is
    /// complete with this.
    pub fn copies(&self, names: &Names, reader: &mut Reader, most: usize) -> (Vec<Copy>, bool) {
        let mut copies = Vec::new();
        let slots = self.tables().connections.len() * SLOTS;
        let looks = if reader.whole { LOOKS_OF_SNAPSHOT } else { LOOKS_OF_ROUND };
        let round_end = (reader.round + slots.div_ceil(looks)).min(slots);
        while reader.round < round_end && copies.len() < most {
            copies.extend(self.copy(names, reader.round, true));
            reader.round += 1;
        }
        let is_complete = reader.round >= slots;
        let was_snapshot = reader.whole && is_complete;
        if is_complete {
            (reader.round, reader.whole) = (0, false);
        }
        for _ in 0..SLOTS_OF_LOOK.min(slots) {
            if copies.len() >= most {
                break;
            }
            copies.extend(self.copy(names, reader.next, false));
            reader.next = if reader.next + 1 < slots { reader.next + 1 } else { 0 };
        }
        (copies, was_snapshot)
    }

    /// The connection in a slot, which counts as told afterwards. Unless `again`, only if it is not.
    fn copy(&self, names: &Names, place: u32, again: bool) -> Option<Copy> {
        let words = self.tables().connections.words();
        let value = Value(words.get(place as usize * 2 + 1)?.load(std::sync::atomic::Ordering::Relaxed));
        let is_due = value.is_unsynced() || again;
        // A connection is one with its first ACK: before that it may be half of a flood.
        let state = value.state().filter(|state| is_due && !matches!(state, State::New | State::Dead))?;
        let table = self.table()?;
        let slot = table.slot(Place(place))?;
        let key = slot.key();
        let service = names.services.get(&(key as u16 & !1)).filter(|service| service.told && key != 0)?;
        let flow = if service.exact { exact_flow(key) } else { flow_of(self.tables(), place)? };
        let server = *names.servers.get(&value.server())?;
        // The flow was read behind the key: only if the slot is still the same one do they belong together.
        slot.entry(key).filter(|now| now.server() == value.server())?;
        if value.is_unsynced() {
            // Whoever was quicker has made it news again, or ended it.
            let _quicker = slot.change(value, value.synced());
        }
        let idle = Duration::from_nanos(u64::from(value.age(coarse_units())) << TIME_SHIFT);
        Some(Copy { service: service.name, server, flow, state, idle })
    }

    /// Puts a connection of the partner's into the table.
    pub fn take_in(&mut self, names: &Names, copy: &Copy) -> TakenIn {
        let service = names.service_numbers.get(&copy.service).copied();
        let server = names.server_numbers.get(&copy.server).copied();
        let (Some(number), Some(server)) = (service, server) else { return TakenIn::Unknown };
        let Some(exact) = names.services.get(&number).map(|service| service.exact) else { return TakenIn::Unknown };
        let number = number | u16::from(copy.flow.protocol == UDP);
        let key = if exact { copy.flow.exact_key(number) } else { copy.flow.fingerprint_key(number, self.hash_keys()) };
        let now = coarse_units().wrapping_sub(units(copy.idle));
        let value = Value::new(server, copy.state, 0, now).synced();
        let mut opened = (Some(server), None);
        let taken = {
            let Some(table) = self.table() else { return TakenIn::Full };
            match table.find(key) {
                Some(found) => {
                    let is_newer = found.value.age(coarse_units()) >= value.age(coarse_units());
                    let is_same = found.value.server() == server;
                    opened = if is_same { (None, None) } else { (Some(server), Some(found.value.server())) };
                    if !(is_newer && table.change(found, value).is_ok()) {
                        opened = (None, None);
                    }
                    TakenIn::Done
                }
                // What has ended begins nothing.
                None if matches!(copy.state, State::Closed | State::Fin) => return TakenIn::Done,
                None => {
                    let mut birth = Birth { tables: self.tables(), flow: (!exact).then_some(copy.flow) };
                    match table.enter(key, value, &mut birth) {
                        Entered::Here(_) => TakenIn::Done,
                        Entered::Existing(_) => {
                            opened = (None, None);
                            TakenIn::Done
                        }
                        Entered::Full => return TakenIn::Full,
                    }
                }
            }
        };
        self.note_taken_in(opened);
        taken
    }

    fn table(&self) -> Option<Table<'_, std::sync::atomic::AtomicU64>> {
        Table::new(self.tables().connections.words(), self.hash_keys()).ok()
    }
}

/// Writes the flow of an entry whose key does not tell it.
struct Birth<'a> {
    tables: &'a Tables,
    flow: Option<Flow>,
}

impl Witness for Birth<'_> {
    fn claimed(&mut self, Place(place): Place) {
        let Some(Flow { saddr, daddr, sport, dport, protocol }) = self.flow else { return };
        let _there =
            self.tables.tuples.set(place, Tuple { saddr, daddr, ports: [sport, dport], protocol, pad: [0; 3] });
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The client's half of a flow, which is in the key of a service with one address and one port.
fn exact_flow(key: Key) -> Flow {
    let protocol = if key & 1 == 1 { UDP } else { TCP };
    Flow { saddr: [0, 0, 0, (key >> 32) as u32], sport: (key >> 16) as u16, protocol, ..Flow::default() }
}

fn flow_of(tables: &Tables, place: u32) -> Option<Flow> {
    let Tuple { saddr, daddr, ports: [sport, dport], protocol, .. } = tables.tuples.get(place)?;
    Some(Flow { saddr, daddr, sport, dport, protocol })
}
