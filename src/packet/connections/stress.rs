//! The protocol by threads of the machine, with its real rests between flows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::tests::{keys, memory};
use super::*;
use crate::packet::hash::HashKeys;
use crate::packet::sweep::{Census, Patience, Sweep};

/// Few slots for many flows, so that they meet.
const BUCKETS: usize = 4;
const FLOWS: u64 = 24;
const WRITERS: u64 = 4;
/// Each slot is used by several flows, one after the other.
const TIME: Duration = Duration::from_millis(1500);

struct World {
    memory: Vec<AtomicU64>,
    keys: HashKeys,
    start: Instant,
    done: AtomicBool,
    opened: AtomicU64,
    ended: AtomicU64,
}

impl World {
    fn now(&self) -> u32 {
        units(self.start.elapsed())
    }

    fn table(&self) -> Table<'_, AtomicU64> {
        Table::new(&self.memory, &self.keys).unwrap()
    }

    /// A CPU that forwards. All of them give a flow the same server, so an entry with another one was another flow's.
    fn forward(&self, seed: u64) {
        let (table, mut random) = (self.table(), fastrand::Rng::with_seed(seed));
        let mut serial = seed as u32;
        while !self.done.load(Ordering::Relaxed) {
            let key = random.u64(1..=FLOWS);
            match table.find(key) {
                None => {
                    serial = serial.wrapping_add(1);
                    self.open(&table, key, serial);
                }
                Some(found) => {
                    assert_eq!(u64::from(found.value.server()), key);
                    self.pass(&table, found, random.u8(..));
                }
            }
        }
    }

    fn open(&self, table: &Table<'_, AtomicU64>, key: u64, serial: u32) {
        let value = Value::new(key as u16, State::New, serial, self.now());
        let mut displaced = Displaced { key, count: 0 };
        let entered = table.enter(key, value, &mut displaced);
        match entered {
            Entered::Full => return,
            Entered::Existing(other) => assert_eq!(u64::from(other.server()), key),
            Entered::Here(_) => (),
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.ended.fetch_add(displaced.count, Ordering::Relaxed);
    }

    fn pass(&self, table: &Table<'_, AtomicU64>, found: Found, dice: u8) {
        match dice {
            0..8 => _ = self.ended.fetch_add(u64::from(table.end(found, self.now())), Ordering::Relaxed),
            _ => drop(table.change(found, found.value.seen(State::Established, self.now()))),
        }
    }

    fn sweep(&self) -> Census {
        let mut census = Census::default();
        let sweep = Sweep {
            now: self.now(),
            patience: &|_| Patience { stale: u32::MAX / 2, fin: u32::MAX / 2 },
            purged: &|_| false,
        };
        sweep.run(&self.memory, &mut census);
        census
    }

    fn sweep_until_done(&self) {
        while self.start.elapsed() < TIME {
            self.sweep();
            thread::sleep(Duration::from_millis(2));
        }
        self.done.store(true, Ordering::Relaxed);
    }
}

struct Displaced {
    key: u64,
    count: u64,
}

impl Witness for Displaced {
    fn displaced(&mut self, value: Value) {
        assert_eq!(u64::from(value.server()), self.key);
        self.count += 1;
    }
}

#[test]
fn threads_leave_one_entry_a_flow_and_count_right() {
    let world = World {
        memory: memory(BUCKETS),
        keys: keys(3),
        start: Instant::now(),
        done: AtomicBool::new(false),
        opened: AtomicU64::new(0),
        ended: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        for seed in 0..WRITERS {
            let world = &world;
            scope.spawn(move || world.forward(seed));
        }
        world.sweep_until_done();
    });
    for key in 1..=FLOWS {
        let entries: Vec<_> = world.table().slots().filter_map(|(_, slot)| slot.entry(key)).collect();
        assert!(entries.len() <= 1, "{key}: {entries:?}");
    }
    let [opened, ended] = [&world.opened, &world.ended].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(world.sweep().entries, opened - ended);
}
