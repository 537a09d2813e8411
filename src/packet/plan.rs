//! The forwarding table, compiled for packet engines.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::StickyMask;

/// All services of this dispatcher's `mac` ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    pub services: Vec<ServicePlan>,
}

/// One port of one cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServicePlan {
    /// `cluster:port`; numbers and counters belong to this name, across changes and restarts.
    pub name: String,
    /// The cluster address; `0.0.0.0` or `::` is the wildcard cluster.
    pub address: IpAddr,
    /// One port, several, or, for the wildcard port, all.
    pub ports: RangeInclusive<u16>,
    pub sticky: Option<Sticky>,
    /// No connections are kept: each packet follows its client's affinity record.
    pub unrecorded: bool,
    /// Consistent hash instead of weighted round robin.
    pub hash: bool,
    /// A TCP segment that belongs to no known connection follows the consistent hash; else it is discarded.
    pub pickup: bool,
    /// Packets for the address that no service wants go to this host; else they are discarded.
    pub unserved_pass: bool,
    /// In the order in which they are asked.
    pub rules: Vec<RulePlan>,
    /// Rules that are left out for now: they keep their turn and their count.
    pub resting: Vec<String>,
    /// Where no rule decides.
    pub otherwise: Choice,
    pub servers: Vec<ServerPlan>,
}

/// How a service remembers its clients' servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sticky {
    /// The name of the service whose records these are: its own, or the one that it shares with (cross-port).
    pub group: String,
    pub mask: StickyMask,
    pub time: Duration,
}

/// A rule that may be true, as far as the moment of compiling tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RulePlan {
    pub name: String,
    pub clients: Clients,
    /// An empty choice refuses the client.
    pub choice: Choice,
}

/// For whom a rule is true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clients {
    All,
    /// Both included, of one family.
    Between(IpAddr, IpAddr),
}

/// Servers to choose from, as places in [`ServicePlan::servers`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Choice {
    /// The smooth order of weighted round robin.
    pub ring: Vec<u16>,
    /// The consistent hash's table.
    pub maglev: Vec<u16>,
}

/// One server of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerPlan {
    /// `cluster:port:server`.
    pub name: String,
    /// Where it is; `None` while its host name has no address.
    pub address: Option<IpAddr>,
    pub flags: ServerFlags,
}

/// What packets of a server's clients may expect of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerFlags {
    /// Clients with affinity to it may still come.
    pub affinity: bool,
    /// It takes no new connection: a SYN is decided anew, whatever connection its ports had.
    pub down: bool,
    /// Its connections have ended.
    pub dead: bool,
    /// Clients of ended connections are told so by a TCP reset.
    pub reset: bool,
    /// It runs on this host.
    pub local: bool,
    /// It gets no affinity record when a rule chose it.
    pub sticky_no: bool,
    /// Affinity records to it count no more, not even when it comes back.
    pub forgotten: bool,
}
