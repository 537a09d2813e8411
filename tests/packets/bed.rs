//! The program in the kernel, without a network: frames go in and come out by test run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use aya::programs::{TestRun, TestRunOptions};
use tsuji::datapath::xdp::load::{LoadError, Loaded, Loading, Sizes};
use tsuji::datapath::xdp::tables::Tables;
use tsuji::datapath::xdp::writer::{NextHop, NextHops, Writer};
use tsuji::packet::Plan;
use tsuji::packet::forward::{Forwarder, Memory, Verdict};
use tsuji::packet::hash::HashKeys;
use tsuji::packet::layout::{MAX_SERVERS, live};
use tsuji::packet::reason::Reason;
use tsuji::packet::sweep::{Census, Patience, Sweep};
use tsuji::sys::datapath_layout::Counters;
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
    pub keys: HashKeys,
    /// Seconds that the clock was put forward.
    clock: u64,
    /// MACs of servers by the last two bytes.
    macs: HashMap<[u8; 6], String>,
    twin: Twin,
    /// All frames went through both.
    pub both: bool,
}

/// The same decisions in Rust, over tables of its own: each frame goes through both, and both must agree.
struct Twin {
    tables: Tables,
    writer: Writer,
    memory: Memory,
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
        Self::with_records(connections, RECORDS)
    }

    /// With room for so many affinity records.
    pub fn with_records(connections: u32, records: u32) -> Self {
        let cpus = aya::util::nr_cpus().unwrap() as u32;
        let sizes = Sizes::of(connections, records, cpus);
        let mut random = fastrand::Rng::with_seed(7);
        let keys = HashKeys(std::array::from_fn(|_| random.u64(..)));
        let mut program = Loading { keys, sizes, mac: Mac(OWN), pins: None }.load().unwrap();
        let tables = program.tables().unwrap();
        let twin = Twin {
            tables: Tables::in_process(&sizes).unwrap(),
            writer: Writer::new(),
            memory: Memory::new(records as usize, 16_384),
        };
        let bed =
            Self { program, tables, writer: Writer::new(), keys, clock: 0, macs: HashMap::new(), twin, both: true };
        bed.change_live(|live| live.new_limit = 1_000_000);
        bed
    }

    /// The program's and its twin's.
    pub fn both_tables(&self) -> [&Tables; 2] {
        [&self.tables, &self.twin.tables]
    }

    pub fn change_live(&self, change: impl Fn(&mut tsuji::sys::datapath_layout::Live)) {
        for tables in self.both_tables() {
            let mut state = tables.live.get(0).unwrap();
            change(&mut state);
            assert!(tables.live.set(0, state));
        }
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
        self.twin.writer.apply(&self.twin.tables, plan, &hops, Instant::now()).unwrap();
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
        let outcome = Outcome { verdict: result.return_value, frame: out };
        if self.both {
            assert_eq!(self.send_to_twin(frame), outcome, "the twin (left) says otherwise");
        }
        outcome
    }

    fn send_to_twin(&mut self, frame: &[u8]) -> Outcome {
        let (mut frame, now) = (frame.to_vec(), self.now());
        let words = self.twin.tables.words();
        let forwarder = Forwarder::new(words, &self.keys, Mac(OWN), 0, &mut self.twin.memory);
        let outcome = forwarder.unwrap().forward(&mut frame, LOOPBACK, now);
        frame.truncate(outcome.length);
        let verdict = match outcome.verdict {
            Verdict::Drop => DROP,
            Verdict::Pass => PASS,
            Verdict::Transmit | Verdict::Reply => TX,
            Verdict::Redirect(_) => REDIRECT,
        };
        Outcome { verdict, frame }
    }

    /// The tables' clock.
    fn now(&self) -> u32 {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
        let now = std::time::Duration::from(now).as_nanos() as u64 + self.clock * 1_000_000_000;
        (now >> 22) as u32
    }

    /// What both have counted is the same, and so is what their tables hold.
    fn compare_with_twin(&self, census: &Census, of_twin: &Census) {
        assert_eq!((census.entries, census.half_open), (of_twin.entries, of_twin.half_open));
        for number in 0..MAX_SERVERS {
            assert_eq!(self.twin.tables.counted(number), self.tables.counted(number), "server {number}");
            assert_eq!(census.of(number as u16), of_twin.of(number as u16), "server {number}");
        }
        for (place, reason) in Reason::ALL.iter().enumerate() {
            let twin = self.twin.tables.reasons.get(place as u32).unwrap().packets;
            assert_eq!(twin, self.reason(reason.word()), "{}", reason.word());
        }
        for cursor in 0..64 {
            let [one, other] = [&self.tables, &self.twin.tables].map(|tables| tables.cursors.get(cursor).unwrap());
            assert_eq!((one.next, one.hits), (other.next, other.hits), "cursor {cursor}");
        }
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
        let mut census = [Census::default(), Census::default()];
        for _ in 0..2 {
            census = [&self.tables, &self.twin.tables].map(|tables| {
                let mut census = Census::default();
                let sweep = Sweep { now: self.now(), patience: &|_| patience, purged: &|_| false };
                sweep.run(tables.connections.words(), &mut census);
                census
            });
            self.pass_time(1);
        }
        let [census, of_twin] = census;
        if self.both {
            self.compare_with_twin(&census, &of_twin);
        }
        census
    }

    pub fn counters(&self, server: &str) -> Counters {
        let number = self.writer.server(server).unwrap_or_else(|| panic!("no server {server}"));
        self.tables.counted(number)
    }

    /// As keys have it; UDP is one more.
    pub fn service_number(&self, service: &str) -> u16 {
        self.writer.service(service).unwrap() as u16 * 2
    }

    pub fn server_number(&self, server: &str) -> u16 {
        self.writer.server(server).unwrap() as u16
    }

    pub fn reason(&self, word: &str) -> u64 {
        let place = Reason::ALL.iter().position(|reason| reason.word() == word).unwrap_or_else(|| panic!("no {word}"));
        self.tables.tallied(place as u32).packets
    }

    pub fn rule_hits(&self, service: &str, rule: &str) -> u64 {
        self.tables.cursors.get(self.writer.rule(service, rule).unwrap()).unwrap().hits
    }
}

/// More affinity records than most tests make.
const RECORDS: u32 = 16_384;
/// Where the test run's frames come in.
const LOOPBACK: u32 = 1;
