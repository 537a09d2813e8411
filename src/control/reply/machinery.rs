//! Status and report of the executor, the manager and the advisors.

use serde::{Deserialize, Serialize};

use super::{AdminState, Count, Measured, Traffic};

/// `dscontrol status`: all at one glance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StatusReport {
    pub version: String,
    pub uptime_seconds: u64,
    /// `false` after `executor stop`.
    pub executor_running: bool,
    pub manager_running: bool,
    pub advisors: Vec<AdvisorLine>,
    pub clusters: usize,
    pub ports: usize,
    pub servers: usize,
    /// Servers that operators or advisors took out.
    pub servers_down: usize,
    pub servers_quiesced: usize,
    /// The files that were loaded.
    pub configuration: Vec<String>,
    /// Configurations put in force so far: files loaded and commands carried out.
    pub generation: u64,
    /// Fields changed, objects added and objects removed by operators since the file was loaded.
    pub overrides: usize,
    /// What needs an operator: a port whose servers are all down, a file that was not loaded, a setting that cannot work.
    pub warnings: Vec<String>,
}

/// One advisor as `advisor list` shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AdvisorLine {
    /// `http`, `https`, `connect`, `ping`.
    pub advisor: String,
    /// `80` or `shop:80`.
    pub scope: String,
    /// How long a load counts; `None`: unlimited.
    pub timeout_seconds: Option<f64>,
}

/// What objects that are added later begin with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Defaults {
    pub sticky_seconds: f64,
    pub sticky_mask: u8,
    pub sticky_mask6: u8,
    pub weight_bound: u8,
    /// `None`: by the port's number (300 s, port 21: 900 s, port 23: 32,000,000 s).
    pub stale_seconds: Option<f64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExecutorStatus {
    pub version: String,
    pub running: bool,
    /// Proxy threads that run.
    pub workers: usize,
    /// 0: what the limit of file descriptors allows.
    pub max_connections: u32,
    pub max_affinity: u32,
    pub drain_seconds: f64,
    pub defaults: Defaults,
    pub clusters: usize,
    pub ports: usize,
    pub servers: usize,
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ExecutorReport {
    pub version: String,
    pub uptime_seconds: u64,
    pub running: bool,
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted by the ports that are there now.
    pub connections_total: u64,
    pub traffic: Traffic,
    /// Turned away or broken off, by reason.
    pub refusals: Vec<Count>,
    pub retries: u64,
    pub affinity_records: u64,
    /// Records that made room for newer ones before their time.
    pub affinity_evicted: u64,
    /// Of MAC forwarding, where an interface is named for it.
    #[serde(default)]
    pub packets: Option<PacketReport>,
}

/// What became of packets.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct PacketReport {
    /// Interfaces, each with how it is served.
    pub interfaces: Vec<(String, String)>,
    /// By reason, those with any; remarks count packets that are among the others too.
    pub sent: Vec<Count>,
    pub passed: Vec<Count>,
    pub dropped: Vec<Count>,
    pub remarks: Vec<Count>,
    /// Entries of the connection table, half-open ones among them, and its places.
    pub connections: u64,
    pub half_open: u64,
    pub room: u64,
    /// By how much counters and table differed at the last count.
    pub drift: i64,
    /// Plans that the tables could not take.
    pub refused_plans: u64,
    /// By packet sockets: a socket or an interface was full.
    pub lost: u64,
    pub arp_answers: u64,
    pub announcements: u64,
    pub duplicates: u64,
    /// Addresses of servers, each with what is known of its MAC address.
    pub neighbours: Vec<(String, String)>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ManagerStatus {
    pub running: bool,
    pub interval_seconds: f64,
    /// Rounds between two counts of connections.
    pub refresh: u32,
    /// Percent.
    pub sensitivity: u8,
    pub smoothing: f64,
    pub velocity_limit: bool,
    pub fail_open: bool,
    pub log_level: u8,
    pub overrides: Vec<String>,
}

/// The weights and what they come from, a table per port.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ManagerReport {
    pub ports: Vec<ManagerPort>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ManagerPort {
    pub cluster: String,
    pub cluster_address: String,
    pub port: u16,
    /// Percent in force for active connections, new connections, port (advisors) and system.
    pub proportions: [u8; 4],
    pub servers: Vec<ManagerServer>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ManagerServer {
    pub server: String,
    /// `None`: unresolved.
    pub address: Option<String>,
    pub state: AdminState,
    pub health: Measured,
    /// The weight in force: -1 down, 0 quiesced.
    pub now: i16,
    /// The weight of the last round.
    pub new: i16,
    /// Connections or requests in progress.
    pub active: u64,
    /// Begun between the last two counts (every `refresh` rounds); 0 before there were two.
    pub new_connections: u64,
    /// Milliseconds, rounded up; 0 when no advisor runs or has an answer yet, -1 when it got no valid one.
    pub port_load: i64,
    pub system_load: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AdvisorStatus {
    pub advisor: String,
    pub scope: String,
    pub interval_seconds: f64,
    /// `None`: unlimited.
    pub timeout_seconds: Option<f64>,
    pub connect_timeout_seconds: f64,
    pub receive_timeout_seconds: f64,
    pub retries: u32,
    /// https: whether certificates are verified. `None` for the others.
    pub verify: Option<bool>,
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AdvisorReport {
    pub advisor: String,
    pub scope: String,
    pub servers: Vec<AdvisorServer>,
}

/// A server as one advisor sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AdvisorServer {
    pub cluster: String,
    pub port: u16,
    pub server: String,
    pub address: Option<String>,
    /// Milliseconds, rounded up; -1: no valid answer; `None`: not probed yet.
    pub load: Option<i64>,
    pub health: Measured,
    /// Age of the last result; `None`: not probed yet.
    pub last_seconds: Option<f64>,
    /// What was wrong with the last probe; `None`: good. Shown before the verdict when retries forgive it.
    pub last_fault: Option<String>,
    /// Failures in a row.
    pub failures: u32,
}
