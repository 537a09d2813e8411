//! From the object to a program in the kernel, with its tables at hand.

use std::io;
use std::path::PathBuf;

use aya::maps::Map;
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfError, EbpfLoader, VerifierLogLevel};

use crate::packet::connections::SLOTS;
use crate::packet::hash::HashKeys;
use crate::packet::layout::{CURSORS, MAX_SERVERS, MAX_SERVICES, PLAN_LINES, REASONS, SERVICE_BANK};
use crate::sys::datapath_layout::Live;
use crate::wire::Mac;

use super::object::{OBJECT, PROGRAM};
use super::rights::has_perfmon;
use super::tables::{TableError, Tables};

/// How big the tables are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sizes {
    /// Buckets of the connection table, four connections each.
    pub buckets: u32,
    /// Affinity records.
    pub records: u32,
    /// CPUs that may ever run.
    pub cpus: u32,
}

impl Sizes {
    /// Tables for so many connections: twice as many places, so that with all of them there one in some thousands finds
    /// both of its buckets full.
    pub fn of(connections: u32, records: u32, cpus: u32) -> Self {
        let buckets = (u64::from(connections) * 2).div_ceil(u64::from(SLOTS)).max(2);
        Self { buckets: u32::try_from(buckets).unwrap_or(u32::MAX / SLOTS), records, cpus }
    }

    /// Entries of each map whose size the object leaves open.
    pub fn entries(&self) -> [(&'static str, u32); 8] {
        [
            ("connections", self.buckets),
            ("tuples", self.buckets.saturating_mul(SLOTS)),
            ("counters", MAX_SERVERS * self.cpus),
            ("reasons", REASONS * self.cpus),
            ("gauges", self.cpus),
            ("works", self.cpus),
            ("affinity", self.records),
            ("fragments", FRAGMENTS),
        ]
    }
}

/// Datagrams whose later fragments are awaited at one time. A fragment follows its first within milliseconds, so this
/// lasts for far more than a million fragmented datagrams a second; beyond it the oldest is forgotten.
const FRAGMENTS: u32 = 16384;

/// All that the program is told when it is loaded.
#[derive(Clone, Debug)]
pub struct Loading {
    pub keys: HashKeys,
    pub sizes: Sizes,
    /// The address of the interface that it will be attached to.
    pub mac: Mac,
    /// Where its maps are pinned; maps that are there already are used.
    pub pins: Option<PathBuf>,
}

/// The program in the kernel, not attached yet.
#[derive(Debug)]
pub struct Loaded {
    ebpf: Ebpf,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "the kernel lets this process load no BPF program: run it as root, or with CAP_BPF, CAP_PERFMON, \
         CAP_NET_ADMIN and CAP_NET_RAW (or set engine = \"packet_socket\")"
    )]
    NotPermitted,
    #[error(
        "the tables take {mib} MiB, and the kernel has no memory for them: set connections to fewer than {connections}"
    )]
    Memory { mib: u64, connections: u64 },
    #[error("this kernel's verifier refuses the program ({source}); kernels from 5.15 are supported. It says: {words}")]
    Verifier { source: io::Error, words: String },
    #[error("the program's tables: {0}")]
    Tables(#[from] TableError),
    #[error("the program cannot be loaded: {0}")]
    Other(String),
}

impl Loading {
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let (first, last) = own_mac(self.mac);
        let mut loader = EbpfLoader::new();
        loader
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global("hash_keys", &self.keys.0, true)
            .override_global("buckets", &self.sizes.buckets, true)
            .override_global("own_mac_first", &first, true)
            .override_global("own_mac_last", &last, true);
        for (name, entries) in self.sizes.entries() {
            loader.map_max_entries(name, entries);
        }
        if let Some(directory) = &self.pins {
            for name in PINNED {
                loader.map_pin_path(name, directory.join(name));
            }
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| self.refused(error))?;
        program(&mut ebpf)?.load().map_err(|error| self.not_verified(error))?;
        Ok(Loaded { ebpf })
    }

    fn refused(&self, error: EbpfError) -> LoadError {
        match os_error(&error) {
            Some(libc::EPERM | libc::EACCES) => LoadError::NotPermitted,
            Some(libc::ENOMEM | libc::E2BIG) => self.too_big(),
            _ => LoadError::Other(in_full(&error)),
        }
    }

    fn not_verified(&self, error: ProgramError) -> LoadError {
        match error {
            ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::EPERM) => {
                LoadError::NotPermitted
            }
            // Without the right to reckon with pointers the verifier finds fault with the first place where it is done.
            ProgramError::LoadError { io_error, .. }
                if io_error.raw_os_error() == Some(libc::EACCES) && !has_perfmon() =>
            {
                LoadError::NotPermitted
            }
            ProgramError::LoadError { io_error, verifier_log } => {
                LoadError::Verifier { source: io_error, words: last_words(&verifier_log.to_string()) }
            }
            error => LoadError::Other(in_full(&error)),
        }
    }

    fn too_big(&self) -> LoadError {
        let connections = u64::from(self.sizes.buckets) * 2;
        LoadError::Memory { mib: self.sizes.bytes() >> 20, connections }
    }
}

impl Sizes {
    /// Memory of all maps. Of an LRU map's entry the kernel keeps some 64 bytes besides key and value.
    pub fn bytes(&self) -> u64 {
        let fixed = 2 * u64::from(SERVICE_BANK) * 32
            + u64::from(MAX_SERVICES) * 16
            + u64::from(PLAN_LINES) * 64
            + u64::from(CURSORS) * 64
            + u64::from(MAX_SERVERS) * 64
            + size_of::<Live>() as u64;
        let cpus = u64::from(self.cpus) * (u64::from(MAX_SERVERS) * 64 + u64::from(REASONS) * 16 + 64 + 192);
        let connections = u64::from(self.buckets) * (64 + 4 * 40);
        fixed + cpus + connections + u64::from(self.records) * (64 + 24 + 8) + u64::from(FRAGMENTS) * (64 + 40 + 8)
    }
}

impl Loaded {
    pub fn program(&mut self) -> Result<&mut Xdp, LoadError> {
        program(&mut self.ebpf)
    }

    /// Maps the tables into this process; to be asked once.
    pub fn tables(&mut self) -> Result<Tables, LoadError> {
        Ok(Tables::map(&mut |name| self.ebpf.take_map(name))?)
    }

    pub fn take_map(&mut self, name: &str) -> Option<Map> {
        self.ebpf.take_map(name)
    }
}

/// Maps that outlive the process.
pub const PINNED: [&str; 14] = [
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
    "works",
    "live",
    "affinity",
    "fragments",
];

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, LoadError> {
    let program = ebpf.program_mut(PROGRAM).ok_or_else(|| LoadError::Other(format!("it has no part \"{PROGRAM}\"")))?;
    program.try_into().map_err(|error: ProgramError| LoadError::Other(in_full(&error)))
}

/// The first six bytes of a frame as the program loads them: four and two.
fn own_mac(mac: Mac) -> (u32, u16) {
    let [a, b, c, d, e, f] = mac.0;
    (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]))
}

fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        next = error.source();
    }
    None
}

/// An error with all that lies behind it, in one line.
pub(super) fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

/// The verifier explains at length; what went wrong stands in the end.
fn last_words(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let start = lines.len().saturating_sub(LAST_LINES);
    lines.get(start..).unwrap_or_default().join(" | ")
}

const LAST_LINES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_connections_fit_in_two_hundred_mebibytes() {
        let sizes = Sizes::of(1 << 20, 1 << 18, 2);
        assert!(sizes.bytes() <= 200 << 20, "{} bytes", sizes.bytes());
        assert_eq!(sizes.buckets, 524_288);
    }

    #[test]
    fn the_verifier_is_quoted_from_its_end() {
        let log = (1..=20).map(|line| format!("line {line}\n")).collect::<String>();
        assert_eq!(last_words(&log), "line 15 | line 16 | line 17 | line 18 | line 19 | line 20");
    }
}
