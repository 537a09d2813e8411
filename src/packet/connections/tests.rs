//! The table by one thread, beside a map.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::packet::hash::HashKeys;
use crate::packet::sweep::{Census, Patience, Sweep};

/// Memory of a table.
pub fn memory(buckets: usize) -> Vec<AtomicU64> {
    (0..buckets * 8).map(|_| AtomicU64::new(0)).collect()
}

pub fn keys(seed: u64) -> HashKeys {
    let mut random = fastrand::Rng::with_seed(seed);
    HashKeys(std::array::from_fn(|_| random.u64(..)))
}

fn new(server: u16, generation: u32, now: u32) -> Value {
    Value::new(server, State::New, generation, now)
}

fn insert(table: &Table<'_, AtomicU64>, key: u64, value: Value) -> Entered {
    table.insert(key, value, &mut Alone)
}

/// One thread displaces nothing.
struct Alone;

impl Witness for Alone {
    fn displaced(&mut self, value: Value) {
        panic!("{value:?} was displaced by nobody");
    }
}

#[test]
fn an_entry_is_found_until_it_ends_and_its_slot_rests() {
    let (memory, keys) = (memory(2), keys(1));
    let table = Table::new(&memory, &keys).unwrap();
    let Entered::Here(place) = insert(&table, 9, new(3, 1, 100)) else { panic!("no room") };
    let found = table.find(9).unwrap();
    assert_eq!((found.place, found.value), (place, new(3, 1, 100)));
    assert_eq!(insert(&table, 9, new(4, 2, 100)), Entered::Existing(found.value));
    assert_eq!(table.find(10), None);
    assert!(table.end(found, 200) && !table.end(found, 200));
    assert_eq!(table.find(9), None);
    let slot = table.slot(place).unwrap();
    assert_eq!((slot.key(), slot.value().state(), slot.value().last()), (0, Some(State::Dead), 200));
    assert!(!slot.claim(new(5, 3, 201)), "it rests");
    slot.free(slot.value(), 200 + units(REST));
    assert_ne!(slot.value(), Value(0));
    slot.free(slot.value(), 201 + units(REST));
    assert_eq!(slot.value(), Value(0));
}

#[test]
fn a_change_needs_the_entry_that_was_read() {
    let (memory, keys) = (memory(2), keys(1));
    let table = Table::new(&memory, &keys).unwrap();
    insert(&table, 9, new(3, 1, 100));
    let found = table.find(9).unwrap();
    let refreshed = found.value.seen(State::Established, 101);
    assert_eq!(table.change(found, refreshed), Ok(()));
    assert_eq!(table.change(found, new(4, 2, 101)), Err(refreshed));
    assert!(!table.end(found, 102), "it was refreshed in between");
    assert_eq!(table.find(9).unwrap().value, refreshed);
}

#[test]
fn memory_must_be_whole_buckets() {
    let keys = keys(1);
    for (words, is_table) in [(0, false), (8, false), (16, true), (17, false), (24, true)] {
        let memory: Vec<_> = (0..words).map(|_| AtomicU64::new(0)).collect();
        assert_eq!(Table::new(&memory, &keys).is_ok(), is_table, "{words}");
    }
}

/// The words and where they lie are what the program's header says.
#[test]
fn entries_lie_as_in_the_program() {
    let (memory, keys) = (memory(3), keys(1));
    let table = Table::new(&memory, &keys).unwrap();
    let Entered::Here(Place(place)) = insert(&table, 9, new(0xabcd, 0x1234, 0x8765_4321)) else { panic!("no room") };
    assert_eq!(place / SLOTS, keys.buckets_of(9, 3)[0]);
    let words = [0, 1].map(|word| memory[place as usize * 2 + word].load(Ordering::Relaxed));
    // VALUE_MAKE(0xabcd, STATE_NEW, 0x234 << 20, 0x87654321)
    assert_eq!(words, [9, 0x8765_4321_2349_abcd]);
    let found = table.find(9).unwrap();
    // `end` of connections.h.
    table.end(found, 0x8765_4322);
    assert_eq!(memory[place as usize * 2 + 1].load(Ordering::Relaxed), 0x8765_4322_2347_abcd);
}

/// Of 8,192 flows in 16,384 slots: how many find no room, and how many are in their second bucket.
#[test]
fn a_table_that_is_half_full_has_room_for_nearly_all() {
    let (memory, keys) = (memory(4096), keys(5));
    let table = Table::new(&memory, &keys).unwrap();
    let (mut full, mut second) = (0, 0);
    for flow in 1..=8192_u64 {
        match insert(&table, flow << 16 | 2, new(1, 1, 1)) {
            Entered::Here(place) => second += usize::from(place.0 / SLOTS != keys.buckets_of(flow << 16 | 2, 4096)[0]),
            Entered::Full => full += 1,
            Entered::Existing(_) => panic!("flow {flow} was not there"),
        }
    }
    assert!(full <= 8 && second <= 1200, "{full} without room, {second} in the second bucket");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Refresh(u64),
    End(u64),
    Pass(u32),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 1..60_u64;
    prop_oneof![
        6 => key.clone().prop_map(Step::Insert),
        4 => key.clone().prop_map(Step::Refresh),
        2 => key.prop_map(Step::End),
        2 => (1..30_u32).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
    ]
}

/// A table and what it should say.
struct Beside<'a> {
    table: Table<'a, AtomicU64>,
    keys: HashKeys,
    memory: &'a [AtomicU64],
    model: HashMap<u64, Value>,
    now: u32,
    serial: u32,
}

const PATIENCE: Patience = Patience { stale: 60, fin: 60 };

impl Beside<'_> {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Insert(key) => self.insert(key),
            Step::Refresh(key) => self.refresh(key),
            Step::End(key) => {
                let ended = self.table.find(key).is_some_and(|found| self.table.end(found, self.now));
                assert_eq!(ended, self.model.remove(&key).is_some());
            }
            Step::Pass(time) => self.now = self.now.wrapping_add(time),
            Step::Sweep => self.sweep(),
        }
    }

    fn insert(&mut self, key: u64) {
        self.serial += 1;
        let value = new(self.serial as u16, self.serial, self.now);
        match insert(&self.table, key, value) {
            Entered::Here(_) => assert_eq!(self.model.insert(key, value), None),
            Entered::Existing(known) => assert_eq!(self.model.get(&key), Some(&known)),
            Entered::Full => {
                assert!(!self.model.contains_key(&key));
                let buckets = self.keys.buckets_of(key, self.table.buckets());
                let free = |(place, slot): &(Place, Slot<'_, AtomicU64>)| {
                    buckets.contains(&(place.0 / SLOTS)) && slot.value() == Value(0)
                };
                assert!(!self.table.slots().any(|slot| free(&slot)));
            }
        }
    }

    fn refresh(&mut self, key: u64) {
        let Some(found) = self.table.find(key) else { return assert!(!self.model.contains_key(&key)) };
        let next = found.value.seen(State::Established, self.now);
        assert_eq!(self.table.change(found, next), Ok(()));
        assert_eq!(self.model.insert(key, next), Some(found.value));
    }

    fn sweep(&mut self) {
        let sweep = Sweep { now: self.now, patience: &|_| PATIENCE, purged: &|server| server % 16 == 7 };
        let mut census = Census::default();
        sweep.run(self.memory, &mut census);
        let stays = |value: &Value| {
            let limit = if value.state() == Some(State::New) { units(crate::packet::sweep::HALF_OPEN) } else { 60 };
            value.age(self.now) < limit && value.server() % 16 != 7
        };
        self.model.retain(|_, value| stays(value));
        assert_eq!(census.entries, self.model.len() as u64);
    }

    fn compare(&self) {
        for key in 1..60 {
            assert_eq!(self.table.find(key).map(|found| found.value), self.model.get(&key).copied(), "{key}");
        }
        let live = self.table.slots().filter(|(_, slot)| slot.value().is_live()).count();
        assert_eq!(live, self.model.len());
    }
}

proptest! {
    #[test]
    fn the_table_is_a_map_with_a_bound(
        steps in prop::collection::vec(step(), 1..200), buckets in 2..12_usize, seed in any::<u64>(), start in any::<u32>(),
    ) {
        let (memory, keys) = (memory(buckets), keys(seed));
        let table = Table::new(&memory, &keys).unwrap();
        let mut beside = Beside { table, keys, memory: &memory, model: HashMap::new(), now: start, serial: 0 };
        for step in &steps {
            beside.step(step);
            beside.compare();
        }
    }
}
