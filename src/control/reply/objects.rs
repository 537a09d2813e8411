//! Status (what is configured) and report (what was counted) of clusters, ports, servers and rules.

use serde::{Deserialize, Serialize};

use super::Defaults;
use crate::model;

/// What operators want of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminState {
    Up,
    Quiesced,
    QuiescedNow,
    Down,
}

impl From<model::AdministrativeState> for AdminState {
    fn from(state: model::AdministrativeState) -> Self {
        match state {
            model::AdministrativeState::Up => Self::Up,
            model::AdministrativeState::Quiesced => Self::Quiesced,
            model::AdministrativeState::QuiescedNow => Self::QuiescedNow,
            model::AdministrativeState::Down => Self::Down,
        }
    }
}

impl AdminState {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Quiesced => "quiesced",
            Self::QuiescedNow => "quiesced-now",
            Self::Down => "down",
        }
    }
}

/// What advisors know of a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Measured {
    pub state: HealthState,
    /// Why it is down, in one sentence or word.
    pub reason: Option<String>,
    /// How long it has been so; `None` while unknown.
    pub for_seconds: Option<u64>,
}

impl Measured {
    /// `for_seconds` is the age of this verdict.
    pub fn new(health: &model::Health, for_seconds: Option<u64>) -> Self {
        let (state, reason) = match health {
            model::Health::Unknown => (HealthState::Unknown, None),
            model::Health::Up => (HealthState::Up, None),
            model::Health::Down(reason) => (HealthState::Down, Some(reason.to_string())),
        };
        Self { state, reason, for_seconds }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    Unknown,
    Up,
    Down,
}

impl HealthState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Whether clients can come in. An address that cannot be listened on is refused before anything changes, so there is no
/// port without a listener.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    Listening,
    /// After `executor stop`.
    Paused,
}

/// How often something happened for one reason (or with one class of status code, `2xx`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Count {
    pub reason: String,
    pub count: u64,
}

/// What was carried. The unit is the connection for `tcp` and the request for `http`; one that was offered to two servers
/// counts at both. Of a port, a cluster or the executor: the sum over the servers that are there now.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Traffic {
    /// In progress now.
    pub active: u64,
    /// Begun since the server was added.
    pub total: u64,
    /// Begun per second, over the last second.
    pub new_per_second: f64,
    /// From clients to servers, bodies of http messages alone, since the server was added.
    pub bytes_in: u64,
    /// From servers to clients.
    pub bytes_out: u64,
    /// Both directions, 1 KByte = 1024 bytes, over the last second.
    pub kbytes_per_second: f64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClusterStatus {
    pub cluster: String,
    pub address: String,
    pub ports: usize,
    /// Percent for active connections, new connections, port (advisors) and system.
    pub proportions: [u8; 4],
    /// What ports that are added later begin with.
    pub defaults: Defaults,
    /// What operators changed since the file was loaded, one sentence each.
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClusterReport {
    pub cluster: String,
    pub address: String,
    pub ports: usize,
    pub servers: usize,
    /// Servers that may be chosen now.
    pub usable: usize,
    pub traffic: Traffic,
    /// Turned away, by reason.
    pub refusals: Vec<Count>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PortStatus {
    pub cluster: String,
    pub cluster_address: String,
    pub port: u16,
    /// Of a range; `None`: it is one port, or port 0.
    pub last_port: Option<u16>,
    pub listener: Listener,
    pub servers: usize,
    pub rules: usize,
    /// `http` or `tcp`.
    pub method: String,
    /// 0: no affinity.
    pub sticky_seconds: f64,
    pub sticky_mask: u8,
    pub sticky_mask6: u8,
    /// The port whose affinity is shared; its own number: none.
    pub cross_port: u16,
    pub weight_bound: u8,
    /// `spread` or `refuse`.
    pub all_down: String,
    /// `keep` or `purge`.
    pub on_down: String,
    pub timeouts: TimeoutsStatus,
    pub pool_size: u32,
    pub retries: u32,
    /// 0: no limit of its own.
    pub max_connections: u32,
    pub sorry_page: Option<String>,
    pub sorry_status: u16,
    /// 0: no such header.
    pub retry_after: u32,
    pub sorry_cache: String,
    /// `None`: off.
    pub access_log: Option<String>,
    /// `combined` or `json`.
    pub access_log_format: String,
    pub trusted_proxies: Vec<String>,
    /// They begin each connection with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// `v1` or `v2`: what connections to servers begin with.
    pub send_proxy: Option<String>,
    /// `x-forwarded`, `forwarded`, `both` or `off`.
    pub forwarded: String,
    pub upgrade: Vec<String>,
    /// How requests without affinity are spread.
    pub balance: String,
    /// What names a session's server, and the cookie that carries it.
    pub affinity: String,
    pub cookie: String,
    pub groups: Vec<GroupStatus>,
    pub routes: Vec<RouteStatus>,
    /// The port that it follows.
    pub follows: Option<u16>,
    /// It is watched and not served.
    pub monitor: bool,
    pub overrides: Vec<String>,
}

/// An application of a port.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GroupStatus {
    pub group: String,
    pub servers: Vec<String>,
    /// Of them, those that may be chosen now.
    pub usable: usize,
    pub balance: String,
    pub affinity: String,
    pub cookie: String,
    /// Requests that wait for one of its servers.
    pub waiting: usize,
}

/// Hosts and paths, and where they lead.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RouteStatus {
    pub route: String,
    /// Empty: every host.
    pub hosts: Vec<String>,
    /// Empty: every path.
    pub uris: Vec<String>,
    /// `None`: the servers that belong to no group, or a redirect.
    pub group: Option<String>,
    pub redirect: Option<String>,
}

/// The port's timers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TimeoutsStatus {
    pub head_seconds: f64,
    pub idle_seconds: f64,
    pub body_seconds: f64,
    pub connect_seconds: f64,
    pub server_seconds: f64,
    pub stale_seconds: f64,
    pub pool_seconds: f64,
}

impl From<&model::Timeouts> for TimeoutsStatus {
    fn from(timeouts: &model::Timeouts) -> Self {
        Self {
            head_seconds: timeouts.head.as_secs_f64(),
            idle_seconds: timeouts.idle.as_secs_f64(),
            body_seconds: timeouts.body.as_secs_f64(),
            connect_seconds: timeouts.connect.as_secs_f64(),
            server_seconds: timeouts.server.as_secs_f64(),
            stale_seconds: timeouts.stale.as_secs_f64(),
            pool_seconds: timeouts.pool.as_secs_f64(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PortReport {
    pub cluster: String,
    pub cluster_address: String,
    pub port: u16,
    /// Of a range; `None`: it is one port, or port 0.
    pub last_port: Option<u16>,
    pub listener: Listener,
    pub method: String,
    pub servers: usize,
    /// Servers that may be chosen now.
    pub usable: usize,
    /// The largest weight of a server now.
    pub max_weight: u8,
    /// Client connections open now; for `http` they may be idle.
    pub connections: u64,
    /// Client connections taken since the port was added.
    pub connections_total: u64,
    /// Requests read since the port was added, refused ones included (http).
    pub requests: u64,
    pub traffic: Traffic,
    /// Responses to clients by class, `2xx` and so on (http).
    pub responses: Vec<Count>,
    /// Turned away or broken off, by reason.
    pub refusals: Vec<Count>,
    /// Offered to another server after the first could not be connected.
    pub retries: u64,
    /// Valid ones; with a cross port, those of all ports that share them.
    pub affinity_records: u64,
    pub latency: LatencyReport,
}

/// Mean times in milliseconds since the port was added; `None`: nothing measured.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LatencyReport {
    /// Until a new connection to a server stood.
    pub connect_ms: Option<f64>,
    /// From the request's head to the first byte of the response (http).
    pub first_byte_ms: Option<f64>,
    /// To the last one.
    pub total_ms: Option<f64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServerStatus {
    pub cluster: String,
    pub cluster_address: String,
    pub port: u16,
    pub server: String,
    /// As configured: an address or a name.
    pub host: String,
    /// Resolved; `None` while its name has no address.
    pub address: Option<String>,
    pub map_port: u16,
    pub state: AdminState,
    pub health: Measured,
    /// In force: -1 down, 0 quiesced.
    pub weight: i16,
    /// What it gets back after quiesce or down.
    pub saved_weight: u8,
    /// As configured.
    pub configured_weight: u8,
    pub fixed_weight: bool,
    pub sticky: bool,
    pub advisor_request: String,
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    pub advisor_response: String,
    /// `None`: it belongs to no group.
    pub group: Option<String>,
    pub clone_id: Option<String>,
    pub backup: bool,
    /// 0: no bound.
    pub max_connections: u32,
    /// Failures of requests in a row.
    pub failures: u32,
    /// Seconds for which it is left alone for its failures; 0: one request may try it, or does. `None`: it is not.
    pub left_alone_seconds: Option<f64>,
    /// The weight while it is on its slow start.
    pub slow_start_weight: Option<u8>,
    pub probes: Vec<ProbeView>,
    pub overrides: Vec<String>,
}

/// How one advisor sees one server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ProbeView {
    /// As operators write it: `http 80`.
    pub advisor: String,
    pub health: Measured,
    /// Failures in a row; down after the advisor's `retries` + 1.
    pub failures: u32,
    /// `None`: not probed yet.
    pub last: Option<Probe>,
    /// The newest last; short. Holds `last` too.
    pub history: Vec<Probe>,
}

/// One probe that has ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Probe {
    pub age_seconds: f64,
    /// Connect and answer together; `None` when there was no good answer.
    pub latency_ms: Option<f64>,
    /// What was wrong; `None`: good.
    pub fault: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServerReport {
    pub cluster: String,
    pub port: u16,
    pub server: String,
    /// `None`: unresolved.
    pub address: Option<String>,
    pub state: AdminState,
    pub health: Measured,
    /// In force: -1 down, 0 quiesced.
    pub weight: i16,
    pub saved_weight: u8,
    pub traffic: Traffic,
    /// Load by the advisors in milliseconds, rounded up; 0 when none runs or has an answer yet, -1 when it got no valid one.
    pub port_load: i64,
    /// Load by the system metric; 0 when there is none.
    pub system_load: i64,
    /// Responses of the server by class, `2xx` and so on (http).
    pub responses: Vec<Count>,
    /// Offered to it but not taken: refused, timed out, closed.
    pub failed: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RuleStatus {
    pub cluster: String,
    pub port: u16,
    pub rule: String,
    /// IBM's word: `true`, `active`, `connection`, `ip`, `time`.
    pub kind: String,
    /// Of types that have a range.
    pub begin_range: Option<String>,
    pub end_range: Option<String>,
    pub priority: u32,
    /// `port` or `rule`, of types that measure.
    pub evaluate: Option<String>,
    pub servers: Vec<String>,
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RuleReport {
    pub cluster: String,
    pub port: u16,
    pub rule: String,
    pub kind: String,
    pub priority: u32,
    /// How often it decided.
    pub hits: u64,
    /// Whether its condition is true now; `None`: that depends on the client.
    pub holds: Option<bool>,
    pub servers: usize,
    /// Its servers that may be chosen now.
    pub usable: usize,
    /// Of the whole port.
    pub port_active: u64,
    pub port_new_per_second: f64,
}
