//! What is known of the dispatcher at one moment.

use std::sync::Arc;
use std::time::SystemTime;

use crate::executor::ForwardingTable;
use crate::model::{Name, PortNumber};

use super::{PairReading, ProcessReading};

/// Everything one page is made from.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Ports, servers and rules with their counters.
    pub table: Arc<ForwardingTable>,
    /// Why the data path refuses, in the order of [`PortReading::reasons`](crate::executor::PortReading::reasons).
    pub reasons: Vec<&'static str>,
    pub advisors: Vec<AdvisorReading>,
    pub configuration: ConfigurationReading,
    pub certificates: CertificatesReading,
    pub affinity: AffinityReading,
    /// Figures of the proxy as a whole.
    pub proxy: Vec<ProxyCounter>,
    /// Operators' commands by how they ended (`done`, `refused`, `misused`).
    pub commands: Vec<(&'static str, u64)>,
    /// Alert scripts by event and by how they ended (`done`, `failed`, `timeout`, `refused`, `dropped`).
    pub scripts: Vec<(&'static str, &'static str, u64)>,
    /// Lines that no log took because it was behind.
    pub log_lines_dropped: u64,
    pub access_logs: AccessLogReading,
    /// Of MAC forwarding, where an interface is named for it.
    pub packets: Option<PacketReading>,
    /// Of the pair, where there is a partner.
    pub pair: Option<PairReading>,
    /// Alerts that are open now.
    pub alerts: u64,
    /// When the daemon began.
    pub started: SystemTime,
    /// The daemon's version, `CARGO_PKG_VERSION`.
    pub version: &'static str,
    pub process: ProcessReading,
}

/// What became of packets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PacketReading {
    /// Packets and bytes by reason.
    pub reasons: Vec<(&'static str, u64, u64)>,
    /// Entries of the connection table, half-open ones among them, and its places.
    pub connections: u64,
    pub half_open: u64,
    pub room: u64,
    pub drift: u64,
    pub refused_plans: u64,
    /// By packet sockets: a socket or an interface was full.
    pub lost: u64,
    pub arp_answers: u64,
    pub announcements: u64,
    pub duplicates: u64,
    /// Connections of the partner of a pair that were taken in, and that were not.
    pub copied: (u64, u64),
}

/// What became of the lines of all access logs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccessLogReading {
    pub lines: u64,
    pub bytes: u64,
    /// Lines lost because whoever writes them was behind or could not.
    pub dropped: u64,
    /// Failed attempts to open or write a file.
    pub errors: u64,
}

/// What one advisor knows of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisorReading {
    /// `AdvisorKind::word`.
    pub advisor: &'static str,
    pub cluster: Name,
    pub port: PortNumber,
    pub server: Name,
    /// Its verdict; `None` before the first.
    pub up: Option<bool>,
    /// How long the last good probe took.
    pub latency_seconds: Option<f64>,
    /// Probes that ended well.
    pub good: u64,
    /// Probes that failed, by reason (`DownReason::word`).
    pub failed: Vec<(&'static str, u64)>,
}

/// The layers of configuration in use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ConfigurationReading {
    /// Grows with every change that took effect.
    pub generation: u64,
    /// The last attempt to load a file; `None` before the first.
    pub reload: Option<ReloadReading>,
    /// Fields in which operators differ from the file.
    pub overrides: u64,
}

/// The certificates in use, and what became of attempts to read them again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CertificatesReading {
    pub in_use: Vec<CertificateReading>,
    /// Times that they were read again.
    pub read: u64,
    /// Times that what was read could not be used.
    pub refused: u64,
    /// Whether the last attempt went well; `None` before the first.
    pub good: Option<bool>,
}

/// One certificate of one port.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateReading {
    pub cluster: Name,
    pub port: PortNumber,
    /// The server that it is shown to; `None`: clients.
    pub server: Option<Name>,
    pub file: String,
    /// Seconds since 1970.
    pub expires: i64,
}

/// One attempt to load a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReloadReading {
    /// `false`: refused, and the last good configuration goes on.
    pub good: bool,
    pub at: SystemTime,
}

/// The table of clients and their servers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AffinityReading {
    pub records: u64,
    /// Records that left before their time because the table was full.
    pub evicted: u64,
}

/// One figure of the proxy as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProxyCounter {
    /// Goes behind `tsuji_proxy_`. Ends in `_total` if the figure only ever grows; every other one is a gauge.
    pub name: &'static str,
    pub help: &'static str,
    pub value: u64,
}
