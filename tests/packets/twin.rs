//! The program and its twin in Rust (`packet::forward`) over tables of their own that begin alike: what one makes of a
//! frame, the other must make of it too, to the last bit of frames and tables.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tsuji::datapath::xdp::tables::Tables as Mapped;
use tsuji::packet::Plan;
use tsuji::packet::forward::{Forwarder, Memory, Tables, Verdict};
use tsuji::packet::hash::HashKeys;
use tsuji::packet::layout::live;
use tsuji::packet::sweep::{Census, Patience, Sweep};
use tsuji::wire::Mac;

use super::bed::{Bed, DROP, PASS, REDIRECT, TX};
use super::frame::OWN;
use super::traffic::{PARTNER, Traffic};

const SEEDS: u64 = 32;
const FRAMES: usize = 2_000;
/// Few enough for buckets to become full.
const CONNECTIONS: u32 = 64;
const RECORDS: usize = 16_384;
/// The test run's frames come in on the loopback interface.
const INGRESS: u32 = 1;
const UNIT: u64 = 1 << 22;

/// Memory like that of the program's tables.
struct Twin {
    arrays: [Vec<AtomicU64>; 11],
    memory: Memory,
}

fn arrays(mapped: &Mapped) -> [&[AtomicU64]; 11] {
    [
        mapped.connections.words(),
        mapped.tuples.words(),
        mapped.services.words(),
        mapped.selection.words(),
        mapped.plan.words(),
        mapped.cursors.words(),
        mapped.servers.words(),
        mapped.counters.words(),
        mapped.reasons.words(),
        mapped.gauges.words(),
        mapped.live.words(),
    ]
}

const NAMES: [&str; 11] = [
    "connections",
    "tuples",
    "services",
    "selection",
    "plan",
    "cursors",
    "servers",
    "counters",
    "reasons",
    "gauges",
    "live",
];

impl Twin {
    fn of(mapped: &Mapped) -> Self {
        let arrays = arrays(mapped).map(|words| words.iter().map(|word| AtomicU64::new(load(word))).collect());
        Self { arrays, memory: Memory::new(RECORDS, RECORDS) }
    }

    fn copy(&mut self, mapped: &Mapped) {
        self.arrays = Self::of(mapped).arrays;
    }

    fn tables(arrays: &[Vec<AtomicU64>; 11]) -> Tables<'_> {
        let [connections, tuples, services, selection, plan, cursors, servers, counters, reasons, gauges, live] =
            arrays;
        Tables { connections, tuples, services, selection, plan, cursors, servers, counters, reasons, gauges, live }
    }

    fn forward(&mut self, keys: &HashKeys, lane: u32, frame: &mut Vec<u8>, now: u32) -> Verdict {
        let tables = Self::tables(&self.arrays);
        let mut forwarder = Forwarder::new(tables, keys, Mac(OWN), lane, &mut self.memory).unwrap();
        let outcome = forwarder.forward(frame, INGRESS, now);
        frame.truncate(outcome.length);
        outcome.verdict
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// The clock of frames: it stands still while one is on its way.
struct Clock {
    now: u64,
}

impl Clock {
    /// Sets the program's clock to the beginning of a unit; a step of the kernel's clock does not leave it.
    fn set(&self, mapped: &Mapped) -> u64 {
        let offset = (self.now * UNIT).wrapping_sub(coarse());
        mapped.live.element(0).unwrap()[1].store(offset, Ordering::Relaxed);
        offset
    }

    fn stood_still(&self, offset: u64) -> bool {
        coarse().wrapping_add(offset) / UNIT == self.now
    }
}

fn coarse() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
    Duration::from(now).as_nanos() as u64
}

/// Keeps this thread where it is: the program counts by CPU.
fn stay_on_a_cpu() -> u32 {
    let here = nix::unistd::Pid::from_raw(0);
    let allowed = nix::sched::sched_getaffinity(here).unwrap();
    let cpu = (0..nix::sched::CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu).unwrap();
    nix::sched::sched_setaffinity(here, &set).unwrap();
    cpu as u32
}

struct World {
    seed: u64,
    bed: Bed,
    twin: Twin,
    traffic: Traffic,
    clock: Clock,
    lane: u32,
    plan: Plan,
}

impl World {
    fn new(seed: u64, lane: u32) -> Self {
        let mut bed = Bed::new(CONNECTIONS);
        // The twin here is another one.
        bed.both = false;
        let twin = Twin::of(&bed.tables);
        let mut traffic = Traffic::new(seed);
        let start = traffic.random.u32(..).into();
        let mut world = Self { seed, bed, twin, traffic, clock: Clock { now: start }, lane, plan: Plan::default() };
        world.configure();
        world
    }

    fn configure(&mut self) {
        self.plan = self.traffic.plan();
        let machines =
            self.plan.services.iter().flat_map(|service| &service.servers).filter_map(|server| server.address);
        let machines: Vec<IpAddr> = machines.collect();
        let some = |random: &mut fastrand::Rng| -> Vec<IpAddr> {
            machines.iter().filter(|_| random.u8(0..8) == 0).copied().collect()
        };
        let (elsewhere, unknown) = (some(&mut self.traffic.random), some(&mut self.traffic.random));
        self.bed.apply(&self.plan, &elsewhere, &unknown);
        let random = &mut self.traffic.random;
        let [active, stateless, partner] = [random.bool(), random.u8(0..16) == 0, random.bool()];
        let limit = [2, 20, 1_000_000][random.usize(0..3)];
        self.bed.change_live(|state| {
            state.flags &= !(live::ACTIVE | live::STATELESS);
            state.flags |= if active { live::ACTIVE } else { 0 } | if stateless { live::STATELESS } else { 0 };
            state.partners = u32::from(partner);
            state.partner[0][..6].copy_from_slice(&PARTNER);
            state.new_limit = limit;
        });
        self.twin.copy(&self.bed.tables);
    }

    /// `false`: the machine was too busy for the clock to stand still, so nothing follows from a difference.
    fn step(&mut self) -> bool {
        match self.traffic.random.u32(0..400) {
            0 => {
                self.compare(&NAMES[..10]);
                self.configure();
            }
            1 => self.sweep(),
            2 => self.clock.now = (self.clock.now + self.traffic.random.u64(0..5_000)) & 0xffff_ffff,
            _ => return self.frame(),
        }
        true
    }

    fn frame(&mut self) -> bool {
        self.clock.now = (self.clock.now + u64::from(self.traffic.random.u8(0..6) / 5)) & 0xffff_ffff;
        let frame = self.traffic.frame();
        let offset = self.clock.set(&self.bed.tables);
        let outcome = self.bed.send(&frame);
        if !self.clock.stood_still(offset) {
            return false;
        }
        let mut twins = frame.clone();
        let verdict = self.twin.forward(&self.bed.keys, self.lane, &mut twins, self.clock.now as u32);
        let number = match verdict {
            Verdict::Drop => DROP,
            Verdict::Pass => PASS,
            Verdict::Transmit | Verdict::Reply => TX,
            Verdict::Redirect(_) => REDIRECT,
        };
        let told = || format!("seed {}, frame {frame:02x?}\n{:#?}", self.seed, self.plan);
        assert_eq!((number, &twins), (outcome.verdict, &outcome.frame), "{}", told());
        self.compare_with(&["connections", "reasons", "gauges"], &told);
        true
    }

    fn compare(&self, names: &[&str]) {
        self.compare_with(names, &|| format!("seed {}", self.seed));
    }

    fn compare_with(&self, names: &[&str], told: &dyn Fn() -> String) {
        let mapped = arrays(&self.bed.tables);
        for (name, (program, twin)) in NAMES.iter().zip(mapped.iter().zip(&self.twin.arrays)) {
            if !names.contains(name) {
                continue;
            }
            let differs = program.iter().zip(twin).position(|(one, other)| load(one) != load(other));
            if let Some(place) = differs {
                let [one, other] = [&program[place], &twin[place]].map(load);
                panic!("{name}, word {place}: {one:x} in the program, {other:x} in its twin; {}", told());
            }
        }
    }

    fn sweep(&mut self) {
        let patience = Patience { stale: 2_000, fin: 500 };
        let now = self.clock.now as u32;
        let sweep = Sweep { now, patience: &|_| patience, purged: &|server| server % 8 == 3 };
        let mut censuses = [Census::default(), Census::default()];
        let [one, other] = &mut censuses;
        sweep.run(self.bed.tables.connections.words(), one);
        sweep.run(&self.twin.arrays[0], other);
        assert_eq!(one, other, "seed {}", self.seed);
    }
}

#[test]
fn the_program_and_its_twin_decide_alike() {
    if Bed::is_not_here() {
        return;
    }
    let lane = stay_on_a_cpu();
    let (mut whole, mut reasons) = (0, [0; 32]);
    // One seed is new each time; it is told when it finds something.
    for seed in (0..SEEDS - 1).chain([fastrand::u64(..)]) {
        let mut world = World::new(seed, lane);
        let held = (0..FRAMES).all(|_| world.step());
        if held {
            world.compare(&NAMES[..10]);
            whole += 1;
        }
        let counted = world.twin.arrays[8].as_chunks::<2>().0[lane as usize * 32..].iter().take(32);
        counted.zip(&mut reasons).for_each(|([packets, _], sum)| *sum += load(packets));
    }
    println!("{whole} of {SEEDS} seeds to their end; packets by reason: {reasons:?}");
    assert!(whole > 0, "the clock never stood still");
}
