//! One probe: what is to be done, and what came of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{AdvisorKind, DownReason, ProxyVersion};

/// One probe, never given out twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProbeId(pub u64);

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe {}", self.0)
    }
}

/// What the daemon is to do for one probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeOrder {
    pub id: ProbeId,
    pub kind: AdvisorKind,
    /// A ping ignores the port.
    pub target: SocketAddr,
    /// All but ping: the connection begins with a PROXY protocol header that speaks for the dispatcher itself.
    pub sendproxy: Option<ProxyVersion>,
    /// http and https: what to send, complete.
    pub request: Vec<u8>,
    /// http and https: bytes that the answer must contain; empty: any answer is good.
    pub expected: Vec<u8>,
    /// For the connection.
    pub connecttimeout: Duration,
    /// For the whole answer, TLS handshake included, from the connection on. A ping has this one alone.
    pub receivetimeout: Duration,
    /// For everything together. Shorter than the sum of the two only when a failure is being retried.
    pub total: Duration,
    /// https: the certificate must be valid for `host`, or for the address if that is no name.
    pub verify: bool,
    /// The server's name for the TLS handshake.
    pub host: String,
}

/// What came of a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProbeOutcome {
    /// The server answered as it should, after `latency` (connection and answer).
    Good { latency: Duration },
    /// It did not, or not in time.
    Bad { reason: DownReason, latency: Duration },
    /// This machine could not even try, for want of descriptors or memory: says nothing about the server.
    NotMade { why: String },
}
