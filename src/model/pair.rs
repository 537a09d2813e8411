//! What is configured of a pair of dispatchers.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Name, PortNumber, Timings};

/// One dispatcher's half of a pair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairSettings {
    pub role: PairRole,
    pub recovery: Recovery,
    /// The UDP port of the heartbeats, on both dispatchers.
    pub port: PortNumber,
    /// A file with the key that the two share.
    pub key: PathBuf,
    /// What this dispatcher calls itself; `None`: as its host is called.
    pub node: Option<Name>,
    /// At least one and at most [`MOST_PATHS`].
    pub paths: Vec<HeartbeatPath>,
    pub timings: Timings,
    /// How long a returned primary has to be in sync before it takes back what it is the primary of.
    pub hold: Duration,
    pub reach: Reach,
    pub tracked: Tracked,
    /// A TCP port that answers only while this dispatcher is active, for clouds whose balancer follows it.
    pub probeport: Option<PortNumber>,
}

/// A way to the partner.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HeartbeatPath {
    /// Of this dispatcher.
    pub source: IpAddr,
    /// Of the partner.
    pub destination: IpAddr,
}

/// As operators write it.
impl fmt::Display for HeartbeatPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source, self.destination)
    }
}

/// Paths of a pair. Two are usual and four are many; every heartbeat is sent once on each.
pub const MOST_PATHS: usize = 8;

/// Addresses that a dispatcher pings to know how well it is connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reach {
    /// At most [`MOST_REACH_TARGETS`].
    pub targets: Vec<IpAddr>,
    pub interval: Duration,
}

/// Reach targets of a pair. A gateway and a few machines beyond it are usual; the pings of so many leave within a millisecond.
pub const MOST_REACH_TARGETS: usize = 64;

/// What else tells whether a dispatcher is fit to serve.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tracked {
    /// Network interfaces that should have a carrier.
    pub interfaces: Vec<String>,
    /// Scripts that should end well.
    pub scripts: Vec<Name>,
}

/// What a dispatcher is to its partner when both are well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PairRole {
    /// It serves all clusters.
    Primary,
    /// It serves none.
    Backup,
    /// Mutual: it serves the clusters of which it is the `primaryhost`, and the partner the others.
    Both,
}

impl PairRole {
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
            Self::Both => "both",
        }
    }
}

/// Whether a primary that has returned takes back what it is the primary of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Recovery {
    /// By itself, once its tables are in sync and a hold has passed.
    Auto,
    /// When an operator says `takeover`, and never otherwise.
    Manual,
}

impl Recovery {
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }
}

/// The two dispatchers of a pair, as one of them sees them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Here,
    Partner,
}

impl PairSettings {
    /// Whose address this is, as far as the paths tell.
    pub fn side_of(&self, address: IpAddr) -> Option<Side> {
        let has = |end: fn(&HeartbeatPath) -> IpAddr| self.paths.iter().any(|path| end(path) == address);
        if has(|path| path.source) {
            return Some(Side::Here);
        }
        has(|path| path.destination).then_some(Side::Partner)
    }
}
