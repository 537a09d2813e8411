//! Who of several usable servers gets the next request: round robin and its alternatives.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::model::{Balance, Compat, Weight};

use super::clock::millis;
use super::maglev::{self, Candidate};
use super::request::RequestView;
use super::ring::Cursor;
use super::table::ServerEntry;
use super::wheel::Wheel;
use super::{Ring, ServerIndex, Turn, fnv1a};

/// The candidates of a port, a group or a rule, and how one of them is picked.
#[derive(Debug)]
pub struct Picker {
    /// The candidates in turn; what packets are forwarded by, and what other ways fall back to.
    pub ring: Ring,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Turns,
    /// The plug-in's turns.
    Wheel(Wheel),
    /// Everyone alike, whatever the weights.
    Random(Box<[ServerIndex]>),
    /// By weight: the ring has each server as often as its weight.
    WeightedRandom,
    Least(Box<[(ServerIndex, Weight)]>, Load),
    TwoChoices,
    Hash(Box<[u16]>, Key),
}

/// What is least at the server that is picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Load {
    Connections,
    Time,
    Traffic,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Key {
    Client,
    Path,
}

/// What a pick may depend on.
pub(super) struct Occasion<'a> {
    pub client: IpAddr,
    /// Of method `http`.
    pub request: Option<&'a RequestView<'a>>,
    pub turn: Turn,
    pub now: Instant,
}

impl Picker {
    /// `everybody` are those who may become candidates: the consistent hash keeps its size while one of them is down.
    pub(super) fn new(
        (balance, compat): (Balance, Compat),
        candidates: &[(ServerIndex, Weight)],
        everybody: &[ServerIndex],
        servers: &[ServerEntry],
        (cursor, wheel): (Cursor, &Wheel),
    ) -> Self {
        let positive = || candidates.iter().filter(|(_, weight)| *weight > Weight::ZERO).copied();
        let least = |load| Way::Least(positive().collect(), load);
        let hash = |key| Way::Hash(hash_table(candidates, everybody, servers).into(), key);
        let way = match (balance, compat) {
            (Balance::RoundRobin, Compat::Off) => Way::Turns,
            (Balance::RoundRobin, Compat::Plugin) => Way::Wheel(wheel.with(candidates, servers)),
            (Balance::Random, Compat::Plugin) => Way::Random(candidates.iter().map(|(index, _)| *index).collect()),
            (Balance::Random, Compat::Off) => Way::WeightedRandom,
            (Balance::LeastConnections, _) => least(Load::Connections),
            (Balance::LeastTime, _) => least(Load::Time),
            (Balance::Traffic, _) => least(Load::Traffic),
            (Balance::TwoChoices, _) => Way::TwoChoices,
            (Balance::Hash, _) => hash(Key::Client),
            (Balance::UriHash, _) => hash(Key::Path),
        };
        Self { ring: Ring::new(candidates, cursor), way }
    }

    /// Whether there is anybody at all.
    pub fn is_empty(&self) -> bool {
        match &self.way {
            Way::Random(servers) => servers.is_empty(),
            _ => self.ring.is_empty(),
        }
    }

    /// A usable candidate, if there is one.
    pub(super) fn pick(
        &self,
        servers: &[ServerEntry],
        occasion: &Occasion<'_>,
        usable: impl Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let by_turn = || match occasion.turn {
            Turn::Take => self.ring.take(&usable),
            Turn::Peek => self.ring.peek(&usable),
        };
        match &self.way {
            Way::Turns => by_turn(),
            Way::Wheel(wheel) => wheel.pick(occasion.turn, &usable),
            Way::Random(candidates) => from(candidates, self.chance(occasion.turn), &usable),
            Way::WeightedRandom => from(self.ring.places(), self.chance(occasion.turn), &usable),
            Way::Least(candidates, load) => {
                let now = millis(occasion.now);
                let start = self.turn(occasion.turn) as usize;
                least(candidates, start, servers, |server| load.of(server, now), &usable)
            }
            Way::TwoChoices => {
                let chance = self.chance(occasion.turn);
                let first = from(self.ring.places(), chance, &usable)?;
                // Another one, so that a heavy server does not compete with itself.
                let second = from(self.ring.places(), mix(chance), |index| index != first && usable(index));
                let score = |index: ServerIndex| {
                    let server = servers.get(usize::from(index.0));
                    server.map_or(f64::MAX, |server| per_weight(server.counters.active() as f64 + 1.0, server.weight))
                };
                second.filter(|&second| score(second) < score(first)).or(Some(first))
            }
            Way::Hash(table, key) => {
                let hash = match (key, occasion.request) {
                    (Key::Path, Some(request)) => fnv1a(request.path()),
                    _ => client_hash(occasion.client),
                };
                let start = mix(hash).checked_rem(table.len() as u64)? as usize;
                // The next place of the table belongs to another server by chance: the clients of one that cannot take
                // them are spread over all others.
                let (before, after) = table.split_at_checked(start)?;
                after.iter().chain(before).map(|&place| ServerIndex(place)).find(|&index| usable(index))
            }
        }
    }

    /// The plug-in's turns, to go on with in the next table.
    pub(super) fn wheel(&self) -> Wheel {
        match &self.way {
            Way::Wheel(wheel) => wheel.clone(),
            _ => Wheel::default(),
        }
    }

    /// A request with affinity went there: in the plug-in's manner it may count as the server's turn.
    pub(super) fn charge(&self, server: ServerIndex) {
        if let Way::Wheel(wheel) = &self.way {
            wheel.charge(server);
        }
    }

    fn turn(&self, turn: Turn) -> u64 {
        let cursor = self.ring.cursor();
        match turn {
            Turn::Take => cursor.fetch_add(1, Ordering::Relaxed),
            Turn::Peek => cursor.load(Ordering::Relaxed),
        }
    }

    fn chance(&self, turn: Turn) -> u64 {
        mix(self.turn(turn).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Load {
    fn of(self, server: &ServerEntry, now: u64) -> f64 {
        let counters = &server.counters;
        let active = counters.active() as f64;
        match self {
            Self::Connections => active + 1.0,
            Self::Time => counters.response_time(now) * (active + 1.0),
            // What runs will carry something, though not a byte of it has passed yet.
            Self::Traffic => counters.recent_bytes() as f64 + active * TYPICAL_RESPONSE,
        }
    }
}

/// Bytes that are expected of a request that has just begun.
const TYPICAL_RESPONSE: f64 = 8192.0;

fn per_weight(load: f64, weight: Weight) -> f64 {
    load / f64::from(weight.get().max(1))
}

/// The usable candidate with the least load for its weight; of equals the first from `start` on, so that idle servers
/// take turns.
fn least(
    candidates: &[(ServerIndex, Weight)],
    start: usize,
    servers: &[ServerEntry],
    load: impl Fn(&ServerEntry) -> f64,
    usable: impl Fn(ServerIndex) -> bool,
) -> Option<ServerIndex> {
    let (before, after) = candidates.split_at_checked(start.checked_rem(candidates.len())?)?;
    let mut best: Option<(f64, ServerIndex)> = None;
    for &(index, weight) in after.iter().chain(before) {
        let Some(server) = servers.get(usize::from(index.0)).filter(|_| usable(index)) else { continue };
        let score = per_weight(load(server), weight);
        if best.is_none_or(|(least, _)| score < least) {
            best = Some((score, index));
        }
    }
    best.map(|(_, index)| index)
}

/// One of them by chance, or the next that is usable.
fn from(places: &[ServerIndex], chance: u64, usable: impl Fn(ServerIndex) -> bool) -> Option<ServerIndex> {
    let start = chance.checked_rem(places.len() as u64)? as usize;
    // A few more draws before the walk, which would favour the neighbour of a server that is not usable.
    let mut draw = chance;
    for _ in 0..3 {
        let at = (draw % places.len() as u64) as usize;
        if let Some(&index) = places.get(at).filter(|&&index| usable(index)) {
            return Some(index);
        }
        draw = mix(draw);
    }
    let (before, after) = places.split_at_checked(start)?;
    after.iter().chain(before).copied().find(|&index| usable(index))
}

fn hash_table(candidates: &[(ServerIndex, Weight)], everybody: &[ServerIndex], servers: &[ServerEntry]) -> Vec<u16> {
    let weight_of = |index: ServerIndex| candidates.iter().find(|(candidate, _)| *candidate == index);
    let all = everybody.iter().filter_map(|&index| {
        let name_hash = servers.get(usize::from(index.0))?.name_hash;
        let weight = weight_of(index).map_or(0, |(_, weight)| weight.get().into());
        Some(Candidate { place: index.0, name_hash, weight })
    });
    maglev::table(&all.collect::<Vec<_>>())
}

fn client_hash(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            mix((bits >> 64) as u64) ^ bits as u64
        }
    }
}

/// The end of MurmurHash3: each bit of the result depends on each of the input.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}
