//! What one path is measured on: the program with its tables, and the harness before it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use aya::maps::{Array, ProgramArray};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use nix::time::{ClockId, clock_gettime};
use tsuji::datapath::xdp::load::{Loaded, Loading, Sizes};
use tsuji::datapath::xdp::tables::Tables;
use tsuji::datapath::xdp::writer::{NextHop, NextHops, Writer};
use tsuji::model::StickyMask;
use tsuji::packet::hash::HashKeys;
use tsuji::packet::sweep::{Census, Patience, Sweep};
use tsuji::packet::{Choice, Plan, ServerFlags, ServerPlan, ServicePlan, Sticky};
use tsuji::wire::Mac;

use super::Failure;

pub const OWN: Mac = Mac([0x02, 0, 0, 0, 0, 1]);
const SERVERS: u16 = 100;
/// Packets of one measurement.
const PACKETS: u32 = 2_000_000;
/// Where the test run's frames come in.
pub const LOOPBACK: u32 = 1;
pub const SYN: u8 = 2;
const ACK: u8 = 16;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    V4,
    V6,
}

/// The way of a packet through the program.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    family: Family,
    /// 0: each packet another one.
    flows: u64,
    established: bool,
    foreign: bool,
    sticky: bool,
    hash: bool,
}

impl Path {
    pub const fn established(family: Family, flows: u64) -> Self {
        Self { family, flows, established: true, foreign: false, sticky: false, hash: false }
    }

    pub const fn new_flows(family: Family) -> Self {
        Self { family, flows: 0, established: false, foreign: false, sticky: false, hash: false }
    }

    pub const fn foreign(family: Family) -> Self {
        Self { family, flows: 1, established: false, foreign: true, sticky: false, hash: false }
    }

    pub const fn hashed(self) -> Self {
        Self { hash: true, ..self }
    }

    pub const fn sticky(self) -> Self {
        Self { sticky: true, ..self }
    }

    fn cluster(self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::from([192, 0, 2, 10]),
            Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10]),
        }
    }

    /// Packets of one measurement: new flows only as many as the table has room for.
    fn packets(self) -> u32 {
        if self.established || self.foreign { PACKETS } else { 500_000 }
    }
}

pub struct Bed {
    path: Path,
    program: Loaded,
    harness: Ebpf,
    tables: Tables,
}

impl Bed {
    /// A fresh table with the path's flows in it.
    pub fn new(path: Path) -> Result<Self, Failure> {
        pin_to_cpu(0)?;
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)? as u32;
        let sizes = Sizes::of(1 << 20, 1 << 18, cpus);
        let keys = HashKeys(std::array::from_fn(|_| fastrand::u64(..)));
        let mut program = Loading { keys, sizes, mac: OWN, pins: None }.load()?;
        let tables = program.tables()?;
        let plan = plan_of(path);
        Writer::new().apply(&tables, &plan, &hops_of(&plan, LOOPBACK), Instant::now())?;
        // The flood gauge would end what is to be measured.
        let mut live = tables.live.get(0).ok_or("no live table")?;
        live.new_limit = u32::MAX;
        let _ = tables.live.set(0, live);
        let mut bed = Self { path, program, harness: harness_of(path, ACK)?, tables };
        if path.established {
            bed.establish()?;
        } else if !path.foreign {
            bed.harness = harness_of(path, SYN)?;
        }
        Ok(bed)
    }

    /// Each flow's SYN, then its ACK, twice, for the few that a full pair of buckets left out.
    fn establish(&mut self) -> Result<(), Failure> {
        let flows = u32::try_from(self.path.flows)?;
        self.harness = harness_of(self.path, SYN)?;
        self.run(flows)?;
        self.harness = harness_of(self.path, ACK)?;
        self.run(flows)?;
        Ok(())
    }

    /// A whole sweep over the table with all its flows in it, as the daemon does it, in milliseconds of this thread's CPU.
    pub fn sweep_ms(&self) -> Result<(f64, u64), Failure> {
        let clock = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?).as_nanos() >> 22;
        let patience = |_| Patience { stale: u32::MAX / 2, fin: u32::MAX / 2 };
        let sweep = Sweep { now: now as u32, patience: &patience, purged: &|_| false };
        let (mut census, start) = (Census::default(), clock()?);
        sweep.run(self.tables.connections.words(), &mut census);
        Ok(((clock()? - start).as_secs_f64() * 1000.0, census.entries))
    }

    pub fn swap_ns(&mut self) -> Result<f64, Failure> {
        let swap: &mut Xdp = self.harness.program_mut("swap").ok_or("no swap")?.try_into()?;
        let swap = swap.fd()?.try_clone()?;
        let mut measured: ProgramArray<_> = self.harness.map_mut("measured").ok_or("no array")?.try_into()?;
        measured.set(0, &swap, 0)?;
        let ns = self.run_harness(PACKETS)?;
        self.rewind()?;
        Ok(ns)
    }

    pub fn program_ns(&mut self) -> Result<f64, Failure> {
        self.run(self.path.packets())
    }

    fn run(&mut self, packets: u32) -> Result<f64, Failure> {
        let fd = self.program.program()?.fd()?.try_clone()?;
        let mut measured: ProgramArray<_> = self.harness.map_mut("measured").ok_or("no array")?.try_into()?;
        measured.set(0, &fd, 0)?;
        let ns = self.run_harness(packets)?;
        self.rewind()?;
        Ok(ns)
    }

    /// Flows begin with the first one again.
    fn rewind(&mut self) -> Result<(), Failure> {
        if self.path.flows != 0 {
            let mut turns: Array<_, [u64; 8]> = self.harness.map_mut("turns").ok_or("no turns")?.try_into()?;
            turns.set(0, [0; 8], 0)?;
        }
        Ok(())
    }

    fn run_harness(&mut self, packets: u32) -> Result<f64, Failure> {
        let frame = frame_of(self.path);
        let mut out = [0; 256];
        let vary: &mut Xdp = self.harness.program_mut("vary").ok_or("no harness")?.try_into()?;
        let options = TestRunOptions {
            data_in: Some(&frame),
            data_out: Some(&mut out),
            repeat: packets,
            ..TestRunOptions::default()
        };
        let result = vary.test_run(options)?;
        let expected = if self.path.foreign { [2, 3] } else { [3, 3] };
        if !expected.contains(&result.return_value) {
            return Err(format!("verdict {} on {:?}", result.return_value, self.path).into());
        }
        Ok(result.duration.as_nanos() as f64)
    }
}

pub fn harness_of(path: Path, flags: u8) -> Result<Ebpf, Failure> {
    static OBJECT: &[u8] = aya::include_bytes_aligned!("harness.o");
    let first = u32::from_ne_bytes([OWN.0[0], OWN.0[1], OWN.0[2], OWN.0[3]]);
    let last = u16::from_ne_bytes([OWN.0[4], OWN.0[5]]);
    let mut harness = EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global("flows", &path.flows, true)
        .override_global("own_mac_first", &first, true)
        .override_global("own_mac_last", &last, true)
        .override_global("tcp_flags", &flags, true)
        .load(OBJECT)?;
    for name in ["vary", "swap"] {
        let program: &mut Xdp = harness.program_mut(name).ok_or("no program")?.try_into()?;
        program.load()?;
    }
    Ok(harness)
}

pub fn plan_of(path: Path) -> Plan {
    let address = if path.foreign { IpAddr::from([192, 0, 2, 11]) } else { path.cluster() };
    let mask = StickyMask::new(32, 128).ok().filter(|_| path.sticky);
    let sticky = mask.map(|mask| Sticky { group: "shop:80".into(), mask, time: Duration::from_secs(300) });
    let servers: Vec<_> = (0..SERVERS)
        .map(|number| ServerPlan {
            name: format!("shop:80:s{number}"),
            address: Some(IpAddr::from([10, 1, 0, number as u8])),
            flags: ServerFlags { affinity: true, ..ServerFlags::default() },
        })
        .collect();
    let places: Vec<u16> = (0..SERVERS).collect();
    let maglev = (0..16381).map(|place| place % SERVERS).collect();
    Plan {
        services: vec![std::sync::Arc::new(ServicePlan {
            name: "shop:80".into(),
            address,
            ports: 80..=80,
            sticky,
            unrecorded: false,
            hash: path.hash,
            pickup: true,
            unserved_pass: false,
            rules: Vec::new(),
            resting: Vec::new(),
            otherwise: Choice { ring: places, maglev },
            servers,
        })],
    }
}

pub fn hops_of(plan: &Plan, interface: u32) -> NextHops {
    let servers = plan.services.iter().flat_map(|service| &service.servers);
    servers
        .zip(0..)
        .filter_map(|(server, number)| {
            let mac = Mac([0x02, 0, 0, 0, 1, number]);
            Some((server.address?, NextHop { mac, source: OWN, interface }))
        })
        .collect()
}

/// A minimal TCP segment to the cluster address.
pub fn frame_of(path: Path) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 9];
    match path.cluster() {
        IpAddr::V4(address) => {
            frame.extend([0x08, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 0]);
            frame.extend(address.octets());
        }
        IpAddr::V6(address) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
            frame.extend([0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            frame.extend(address.octets());
        }
    }
    frame.extend([0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, ACK, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(frame.len().max(60), 0);
    frame
}

pub fn pin_to_cpu(cpu: usize) -> Result<(), Failure> {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu)?;
    Ok(nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}
