//! Advisors: who probes which servers, how often and how patiently.

use std::fmt;
use std::time::Duration;

use super::{Name, PortKey, PortNumber};

/// One advisor as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisor {
    pub key: AdvisorKey,
    /// Between the beginnings of two probes of one server; 7 s by default.
    pub interval: Duration,
    /// How long a load value stays valid. A verdict of down never expires.
    pub timeout: AdvisorTimeout,
    /// For the connection; 3 × interval by default.
    pub connecttimeout: Duration,
    /// For the whole answer after the connection; 3 × interval by default.
    pub receivetimeout: Duration,
    /// Failures in a row that are forgiven; down after `retries + 1`.
    pub retries: u32,
    /// https only: the server's certificate must be valid for its name or address.
    pub verify: bool,
}

/// Which advisor, on which servers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AdvisorKey {
    pub kind: AdvisorKind,
    pub scope: AdvisorScope,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AdvisorKind {
    /// Sends the server's `advisorrequest` and waits for an answer that contains its `advisorresponse`.
    Http,
    /// The same over TLS.
    Https,
    /// Opens a connection and closes it.
    Connect,
    /// ICMP echo.
    Ping,
}

impl AdvisorKind {
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Connect, Self::Ping];

    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Connect => "connect",
            Self::Ping => "ping",
        }
    }
}

/// The ports whose servers an advisor probes. One for a single cluster's port takes the place of the same
/// advisor for that port number on all clusters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AdvisorScope {
    Port(PortNumber),
    ClusterPort(PortKey),
}

impl AdvisorScope {
    pub fn port(&self) -> PortNumber {
        match self {
            Self::Port(port) => *port,
            Self::ClusterPort(key) => key.port,
        }
    }

    pub fn cluster(&self) -> Option<&Name> {
        match self {
            Self::Port(_) => None,
            Self::ClusterPort(key) => Some(&key.cluster),
        }
    }
}

/// As operators write it: `80` or `shop:80`.
impl fmt::Display for AdvisorScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => port.fmt(f),
            Self::ClusterPort(key) => key.fmt(f),
        }
    }
}

/// As operators write it: `http 80`.
impl fmt::Display for AdvisorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.scope)
    }
}

/// How long a load value counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdvisorTimeout {
    Unlimited,
    After(Duration),
}
