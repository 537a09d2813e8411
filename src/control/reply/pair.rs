//! Answers about the pair of dispatchers.

use serde::{Deserialize, Serialize};

use super::Count;

/// This dispatcher's half of the pair.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PairStatus {
    /// `primary`, `backup`, `both`.
    pub role: String,
    /// `auto`, `manual`.
    pub recovery: String,
    /// As configured; `None`: the host's name.
    pub node: Option<String>,
    /// UDP.
    pub port: u16,
    pub interval_seconds: f64,
    pub timeout_seconds: f64,
    /// One, or two with role `both`.
    pub groups: Vec<PairGroupStatus>,
    pub heartbeats: Vec<HeartbeatStatus>,
    pub reach: Vec<ReachStatus>,
    /// `None`: it was not heard since this dispatcher started.
    pub partner: Option<PartnerStatus>,
    /// Why this dispatcher is not fit.
    pub fault: Option<String>,
    /// What the two should have the same, or different, and do not.
    pub misconfigured: Vec<String>,
    /// How far the partner's tables are copied here.
    #[serde(default)]
    pub sync: SyncStatus,
    /// Datagrams at the port that were not the partner's present word, by reason.
    #[serde(default)]
    pub refused: Vec<Count>,
    pub overrides: Vec<String>,
}

/// How far tables are copied.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SyncStatus {
    pub in_sync: bool,
    /// Records taken in so far.
    pub position: u64,
    pub lag_ms: f64,
}

/// Clusters that are served together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PairGroupStatus {
    pub clusters: Vec<String>,
    /// An address of the dispatcher that serves them when both are well.
    pub primary_host: Option<String>,
    /// `standby`, `probing`, `active`, `fault`.
    pub state: String,
    pub sub_state: String,
    /// The number of the claim.
    pub epoch: u64,
    /// What the partner says of it.
    pub partner_state: Option<String>,
    pub last_change: Option<PairChange>,
    /// It has moved too often of late and moves for an operator only.
    pub damped: bool,
    /// The epoch could not be written to the disk.
    pub unsaved: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PairChange {
    pub from: String,
    pub to: String,
    pub reason: String,
    pub seconds_ago: f64,
}

/// One way to the partner.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HeartbeatStatus {
    pub source: String,
    pub destination: String,
    /// Since the last heartbeat; `None`: there was none.
    pub heard_seconds_ago: Option<f64>,
    /// It was heard before and is silent.
    pub lost: bool,
    /// Of the last 64 heartbeats.
    pub loss_percent: f64,
    pub round_trip_ms: Option<f64>,
}

/// One reach target.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ReachStatus {
    pub address: String,
    /// `None`: it was not pinged yet.
    pub reachable: Option<bool>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PartnerStatus {
    /// Silent on all ways for the timeout.
    pub silent: bool,
    pub hears_us: bool,
    /// Reach targets that answer it.
    pub reach: u16,
    /// Its tables are the same as ours.
    pub in_sync: bool,
}
