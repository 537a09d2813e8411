//! The program in the kernel, without a network: frames go in and come out by test run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use aya::programs::{TestRun, TestRunOptions};
use tsuji::datapath::xdp::load::{LoadError, Loaded, Loading, Sizes};
use tsuji::datapath::xdp::reason::Reason;
use tsuji::datapath::xdp::tables::Tables;
use tsuji::datapath::xdp::writer::{NextHop, NextHops, Writer};
use tsuji::packet::Plan;
use tsuji::packet::hash::HashKeys;
use tsuji::packet::sweep::{Census, Patience, Sweep};
use tsuji::sys::datapath_layout::{Counters, MAX_SERVERS, REASONS, live};
use tsuji::wire::Mac;

use super::frame::{OWN, ROUTER};

pub const DROP: u32 = 1;
pub const PASS: u32 = 2;
pub const TX: u32 = 3;
pub const REDIRECT: u32 = 4;

pub struct Bed {
    program: Loaded,
    pub tables: Tables,
    writer: Writer,
    cpus: u32,
    pub keys: HashKeys,
    /// Seconds that the clock was put forward.
    clock: u64,
    /// MACs of servers by the last two bytes.
    macs: HashMap<[u8; 6], String>,
}

/// What became of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub verdict: u32,
    pub frame: Vec<u8>,
}

impl Bed {
    /// With a line that says why.
    pub fn is_not_here() -> bool {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: the XDP program's test run needs root");
            return true;
        }
        let sizes = Sizes { buckets: 2, records: 1, cpus: 1 };
        let tried = Loading { keys: HashKeys([1; 32]), sizes, mac: Mac(OWN), pins: None }.load();
        let forbidden = matches!(tried, Err(LoadError::NotPermitted));
        if forbidden {
            println!("skipped: this machine lets nobody load BPF programs");
        }
        forbidden
    }

    /// A table for so many connections.
    pub fn new(connections: u32) -> Self {
        let cpus = aya::util::nr_cpus().unwrap() as u32;
        let sizes = Sizes::of(connections, 16_384, cpus);
        let mut random = fastrand::Rng::with_seed(7);
        let keys = HashKeys(std::array::from_fn(|_| random.u64(..)));
        let mut program = Loading { keys, sizes, mac: Mac(OWN), pins: None }.load().unwrap();
        let tables = program.tables().unwrap();
        let bed = Self { program, tables, writer: Writer::new(), cpus, keys, clock: 0, macs: HashMap::new() };
        bed.change_live(|live| live.new_limit = 1_000_000);
        bed
    }

    pub fn change_live(&self, change: impl FnOnce(&mut tsuji::sys::datapath_layout::Live)) {
        let mut state = self.tables.live.get(0).unwrap();
        change(&mut state);
        assert!(self.tables.live.set(0, state));
    }

    pub fn set_active(&self) {
        self.change_live(|state| state.flags |= live::ACTIVE);
    }

    /// Puts a plan into the tables. The machine of the n-th address has a MAC that ends in n; one in `elsewhere` is on
    /// another interface, one in `unknown` has none.
    pub fn apply(&mut self, plan: &Plan, elsewhere: &[IpAddr], unknown: &[IpAddr]) {
        let mut hops = NextHops::new();
        let addresses = plan.services.iter().flat_map(|service| &service.servers);
        for server in addresses {
            let Some(address) = server.address.filter(|address| !unknown.contains(address)) else { continue };
            let [.., low] = match address {
                IpAddr::V4(v4) => v4.octets(),
                IpAddr::V6(v6) => {
                    let [.., a, b, c, d] = v6.octets();
                    [a, b, c, d]
                }
            };
            let mac = Mac([2, 0, 0, 0, 1, low]);
            let name = server.name.rsplit(':').next().unwrap().to_owned();
            self.macs.insert(mac.0, name);
            let interface = if elsewhere.contains(&address) { 99 } else { LOOPBACK };
            hops.insert(address, NextHop { mac, source: Mac(OWN), interface });
        }
        self.writer.apply(&self.tables, plan, &hops, Instant::now()).unwrap();
    }

    pub fn program(&mut self) -> &aya::programs::Xdp {
        self.program.program().unwrap()
    }

    pub fn send(&mut self, frame: &[u8]) -> Outcome {
        let mut out = vec![0; frame.len() + 64];
        let program = self.program.program().unwrap();
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), repeat: 1, ..TestRunOptions::default() };
        let result = program.test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        Outcome { verdict: result.return_value, frame: out }
    }

    /// The server that a forwarded frame went to; the rest of it must be as it was.
    pub fn server_of(&self, sent: &[u8], outcome: &Outcome) -> Option<String> {
        let to: [u8; 6] = outcome.frame[..6].try_into().unwrap();
        let name = self.macs.get(&to)?;
        assert_eq!(outcome.frame[6..12], OWN, "our own address as the source");
        assert_eq!(outcome.frame[12..], sent[12..], "nothing else changes");
        Some(name.clone())
    }

    /// Whether a frame went back to the router.
    pub fn went_back(outcome: &Outcome) -> bool {
        outcome.frame[..6] == ROUTER && outcome.frame[6..12] == OWN
    }

    pub fn pass_time(&mut self, seconds: u64) {
        self.clock += seconds;
        let offset = self.clock * 1_000_000_000;
        self.change_live(|live| live.clock_offset = offset);
    }

    /// A whole sweep as the daemon does it, twice, so that slots which have rested are free.
    pub fn sweep(&mut self, patience: Patience) -> Census {
        let mut census = Census::default();
        for _ in 0..2 {
            census = Census::default();
            let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
            let now = std::time::Duration::from(now).as_nanos() as u64 + self.clock * 1_000_000_000;
            let sweep = Sweep { now: (now >> 22) as u32, patience: &|_| patience, purged: &|_| false };
            sweep.run(self.tables.connections.words(), &mut census);
            self.pass_time(1);
        }
        census
    }

    pub fn counters(&self, server: &str) -> Counters {
        let number = self.writer.server(server).unwrap_or_else(|| panic!("no server {server}"));
        let lanes = (0..self.cpus).map(|cpu| self.tables.counters.get(cpu * MAX_SERVERS + number).unwrap());
        lanes.fold(Counters::default(), |sum, lane| Counters {
            packets: sum.packets + lane.packets,
            bytes: sum.bytes + lane.bytes,
            opened: sum.opened.wrapping_add(lane.opened),
            closed_fin: sum.closed_fin + lane.closed_fin,
            closed_rst: sum.closed_rst + lane.closed_rst,
            picked_up: sum.picked_up + lane.picked_up,
            sticky: sum.sticky + lane.sticky,
            resets: sum.resets + lane.resets,
        })
    }

    /// As keys have it; UDP is one more.
    pub fn service_number(&self, service: &str) -> u16 {
        self.writer.service(service).unwrap() as u16 * 2
    }

    pub fn server_number(&self, server: &str) -> u16 {
        self.writer.server(server).unwrap() as u16
    }

    pub fn reason(&self, word: &str) -> u64 {
        let place = Reason::ALL.iter().position(|reason| reason.word == word).unwrap_or_else(|| panic!("no {word}"));
        let lanes = (0..self.cpus).map(|cpu| self.tables.reasons.get(cpu * REASONS + place as u32).unwrap().packets);
        lanes.sum()
    }

    pub fn rule_hits(&self, service: &str, rule: &str) -> u64 {
        self.tables.cursors.get(self.writer.rule(service, rule).unwrap()).unwrap().hits
    }
}

/// Where the test run's frames come in.
const LOOPBACK: u32 = 1;
